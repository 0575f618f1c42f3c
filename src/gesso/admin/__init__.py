"""Pages for the people who run the site. They change things only through the rooms' services."""
