"""Networks as folders that stand alone, and as repositories on the Hugging Face Hub."""

from composer.sharing.folder import write_folder
from composer.sharing.opening import from_folder
from composer.sharing.pulling import pull
from composer.sharing.pushing import push

__all__ = ["from_folder", "pull", "push", "write_folder"]
