"""Choose a clip of a run by drop-downs, or upload a recording, and hear and see what the run says about it."""

import tempfile
from pathlib import Path

import ipywidgets as widgets
import matplotlib.pyplot as plt
from IPython.display import display

from asdlib import playground, scores
from asdlib.autoencoder import inspection
from asdlib.data import plan
from asdlib.errors import AsdError
from asdlib.paths import Run
from asdlib.plots import playground as figures
from asdlib.plots import sound


class Explorer:
    """Drop-downs for machine, section, domain, label and clip, a slider, an upload button, and the verdict below.

    Displayed in a notebook it answers to every change; executed by papermill it shows the clip that is chosen first.

    Args:
        settings: Settings of the run.
        machine: Machine type that is chosen first.
        autoencoder: Name of the autoencoder candidate.
        classifier: Name of the classifier candidate.
        quantile: Share of normal clips that should raise no alarm, where the slider starts.
    """

    def __init__(self, settings, machine: str, autoencoder: str, classifier: str, quantile: float):
        self.settings, self.candidates = settings, (autoencoder, classifier)
        self.machines = plan.read(settings).machines
        self.machine = widgets.Dropdown(options=list(self.machines), value=machine, description="machine")
        self.section = widgets.Dropdown(options=self.machines[machine], description="section")
        self.domain = widgets.Dropdown(options=list(scores.DOMAINS), description="domain")
        self.label = widgets.Dropdown(options=["anomaly", "normal"], description="label")
        self.clip = widgets.Dropdown(description="clip")
        self.quantile = widgets.FloatSlider(quantile, min=0.5, max=0.99, step=0.01, description="quantile")
        self.quantile.continuous_update = False
        self.upload = widgets.FileUpload(accept="audio/*", description="your own recording")
        self.out = widgets.Output()
        self.machine.observe(self._sections, "value")
        for choice in (self.section, self.domain, self.label):
            choice.observe(self._clips, "value")
        for choice in (self.clip, self.quantile, self.upload):
            choice.observe(self._show, "value")
        self._clips()

    def _ipython_display_(self) -> None:
        choices = [self.machine, self.section, self.domain, self.label, self.clip, self.quantile, self.upload]
        display(widgets.VBox([*choices, self.out]))

    def _sections(self, change=None) -> None:
        self.section.options = self.machines[self.machine.value]
        self._clips()

    def _clips(self, change=None) -> None:
        table = self._scores()
        same = (table["section"] == self.section.value) & (table["domain"] == self.domain.value)
        names = table.loc[same & (table["label"] == self.label.value) & (table["split"] == "test"), "clip"]
        if list(self.clip.options) != list(names):
            self.clip.options, self.clip.value = list(names), next(iter(names), None)  # the change shows the clip

    def _scores(self):
        table = scores.read(Run.of(self.settings).scores("autoencoder", self.machine.value, self.candidates[0]))
        return table[table["system"] == table["system"].iat[0]]

    def _show(self, change=None) -> None:
        """Show players, verdict and figure of the clip, or of the recording that was uploaded last."""
        # Not by ``with self.out``: then papermill's client answers the widget while it waits for the cell, and at times
        # misses that the cell has ended and waits forever (https://github.com/jupyter/nbclient/issues/312).
        self.out.outputs = ()
        with tempfile.TemporaryDirectory() as folder:
            try:
                chosen = self.clip.value
                if self.upload.value and (change is None or change["owner"] is not self.clip):
                    chosen = Path(folder) / Path(self.upload.value[-1]["name"]).name
                    chosen.write_bytes(self.upload.value[-1]["content"])
                for thing in self._judge(str(chosen)):
                    self.out.append_display_data(thing)
            except AsdError as error:
                self.out.append_stdout(f"{error}\n")

    def _judge(self, chosen: str) -> list:
        """Return players, verdict and figure of a clip of the run or of a recording."""
        settings, machine = self.settings, self.machine.value
        about, waveform = playground.pick(settings, machine, chosen, self.section.value, self.domain.value)
        normal = inspection.typical(self._scores(), about["section"], about["domain"], "normal")
        heard = [
            inspection.inspect(settings, machine, self.candidates[0], *clip).example(f"{words}: {clip[0]['clip']}")
            for words, clip in {"this clip": (about, waveform), "a normal clip": (normal, None)}.items()
        ]
        judge = playground.load_judge(settings, about, waveform, *self.candidates, 1 - self.quantile.value)
        judged = playground.judge(judge, about, waveform)
        verdict = playground.tabulate(judged)
        figure = figures.scores(judged.held_out, verdict)
        plt.close(figure)  # else it is shown below the cell, too
        return [sound.players(heard), playground.show(verdict), figure]
