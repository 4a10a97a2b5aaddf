"""What plugins are asked, how they are found, and those that come with zoo."""
