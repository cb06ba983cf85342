"""What keeps an installation going: its folders checked and moved, newer releases looked for."""
