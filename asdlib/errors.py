"""Define the errors of this package. Each message is written for the user: what was found, expected, and what to do."""


class AsdError(Exception):
    """Base of all errors that the user can act on."""


class ParamsError(AsdError):
    """Raised for invalid settings; the message names the file and each key."""


class DataError(AsdError):
    """Raised for clips, recordings, labels and downloads that cannot be used; the message names the file or folder."""


class ArtefactError(AsdError):
    """Raised when a file of a run cannot be written, or was made with other settings; the message names the path."""


class ModelError(AsdError):
    """Raised when a model is missing, cannot be trained further, or does not fit the settings, the data or a clip."""


class ScoreError(AsdError):
    """Raised for scores that are invalid, or that cannot be combined or evaluated; the message names file or system."""


class DetectorError(AsdError):
    """Raised when a detector cannot be fitted, loaded or used."""


class NotebookError(AsdError):
    """Raised when a notebook cannot be executed with the given parameters, or when one of its cells fails."""
