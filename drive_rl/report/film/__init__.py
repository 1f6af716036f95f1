"""Films of episodes: canvas, layout, road map, strip chart, outcome card, writers."""
