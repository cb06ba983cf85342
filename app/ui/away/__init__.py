"""While nobody looks: the menu-bar item, notifications, the badge, the computer kept awake."""
