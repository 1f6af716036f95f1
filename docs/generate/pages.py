"""Which pages are generated."""

from command_line_page import command_line_page
from environment_pages import environment_page, environments_index
from keys_page import keys_page
from scenarios_page import scenarios_page

from drive_rl.config.reader import load_world
from drive_rl.config.shelf import Shelf, shelf_folders


def pages() -> dict[str, str]:
    """Return the text of every page, by its path under docs/."""
    worlds = [load_world(name) for name in shipped("envs")]
    return {
        **{f"environments/{world.name}.md": environment_page(world) for world in worlds},
        "environments/index.md": environments_index(worlds),
        "environments/scenarios.md": scenarios_page(shipped("envs/scenarios")),
        "reference/keys.md": keys_page(),
        "reference/command_line.md": command_line_page(),
    }


def shipped(shelf: Shelf) -> list[str]:
    """Return the names of the YAML files that lie on a shelf of the package."""
    return sorted(path.stem for path in shelf_folders(shelf)[-1].glob("*.yaml"))
