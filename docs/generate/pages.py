"""Which pages are generated."""

from command_line_page import command_line_page
from environment_pages import environment_page, environments_index
from keys_page import keys_page

from drive_rl.config.reader import load_world
from drive_rl.config.shelf import shelf_folders


def pages() -> dict[str, str]:
    """Return the text of every page, by its path under docs/."""
    worlds = [load_world(path.stem) for path in sorted(shelf_folders("envs")[-1].glob("*.yaml"))]
    return {
        **{f"environments/{world.name}.md": environment_page(world) for world in worlds},
        "environments/index.md": environments_index(worlds),
        "reference/keys.md": keys_page(),
        "reference/command_line.md": command_line_page(),
    }
