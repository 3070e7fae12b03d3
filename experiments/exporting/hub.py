"""Upload an exported policy to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from experiments.command_line.errors import installed
from rl_expire.runs.policy import HUB_ID


def check_push(repository: str) -> None:
    """Check that a policy can be uploaded to `repository`, before any work is done.

    Raises:
        ValueError: it is no `owner/name`, or `huggingface_hub` is not installed.
    """
    if not HUB_ID.fullmatch(repository):
        raise ValueError(f"--push {repository} is not the id of a repository: write owner/name")
    installed("huggingface_hub", extra="hub")


def push(folder: Path, repository: str) -> str:
    """Upload all files of a folder, and return the address of the repository.

    Raises:
        ValueError: the Hub refuses it, or cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    api = HfApi()
    try:
        address = api.create_repo(repository, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder)
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{folder} is written, but --push {repository} failed: {reason}; "
            "`hf auth login` lets this machine write to the Hub"
        ) from error
    return str(address)
