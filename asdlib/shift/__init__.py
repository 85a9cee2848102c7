"""Our extension of Sec. 2.2: estimate the domain shift, and carry source clips through it."""
