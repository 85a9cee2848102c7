"""Our extension of Sec. 2.2: estimate the domain shift, and apply it to source clips.

* ``physical``: the shift as a change of speed, of the microphone's response and of the background
* ``shifted_clips``: source clips changed by the shift that the few target clips show, as pseudo-target clips
"""
