"""What plugins are asked (`hookspecs`), how they are found (`manager`), and those that come with zoo."""
