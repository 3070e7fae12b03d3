"""Store the spaces of the environment with a policy whose run did not: one of before 0.2."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from experiments.open_run import read_run
from rl_expire.runs.json_file import read_json, write_json
from rl_expire.vector.faults import closing_envs
from rl_expire.vector.make import EnvConfig, make_envs
from rl_expire.vector.stored_spaces import SPACES


def add_spaces(policy: Path, trust: Collection[str]) -> None:
    """Add the spaces to the `config.json` of an exported policy, unless they are there.

    Without them the policy can still be used, but only together with its environment. So if the
    environment cannot be made here, that is one line.
    """
    content = read_json(policy / "config.json")
    if content.get(SPACES) is not None:
        return
    try:
        run, config = read_run(policy, trust)
        env = config["env"]
        with closing_envs(
            make_envs(env["id"], 1, env["options"], EnvConfig.from_json(env))
        ) as envs:
            write_json(run.config, content | {SPACES: envs.metadata[SPACES]})
    except (LookupError, ValueError) as error:
        print(f"no spaces are stored, so that its environment is needed to load it: {error}")
