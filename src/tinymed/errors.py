"""What can go wrong, as one tree.

TinymedError
├── UserError            mendable by the person at the keyboard: one sentence, exit code 2
│   ├── ConfigError      a recipe, an option or a name
│   ├── DataError        samples, predictions, a data set
│   ├── ImageError       an image file that cannot be shown to a model
│   ├── ModelError       a model, a build or a checkpoint
│   └── MissingExtraError  an optional package is not installed
└── HardwareError        this machine cannot do it: exit code 3

Anything else is a defect of tinymed and shows its traceback.
"""


class TinymedError(Exception):
    """Base of every error tinymed raises on purpose."""

    exit_code = 1


class UserError(TinymedError):
    """Something the person at the keyboard can mend."""

    exit_code = 2


class ConfigError(UserError):
    """A recipe, an option or a name that does not fit."""


class DataError(UserError):
    """Samples, predictions or a data set that cannot be used as they are."""


class ImageError(UserError):
    """An image file that cannot be shown to a model."""


class ModelError(UserError):
    """A model, build or checkpoint that is missing, damaged or not what it says."""


class MissingExtraError(UserError):
    """An optional package is not installed."""


class HardwareError(TinymedError):
    """This machine cannot do what was asked."""

    exit_code = 3
