#!/bin/sh
# Puts Luthier into the menu of the desktop and, as `luthier`, among the user's commands. `install.sh --remove` undoes it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
data=${XDG_DATA_HOME:-$HOME/.local/share}
case $data in /*) ;; *) data=$HOME/.local/share ;; esac
entry=$data/applications/luthier.desktop
command=$HOME/.local/bin/luthier

if [ "${1:-}" = --remove ]; then
    rm -f "$entry" "$data/icons/hicolor/scalable/apps/luthier.svg" "$data"/icons/hicolor/*x*/apps/luthier.png
    if [ "$(readlink "$command" 2>/dev/null)" = "$here/luthier" ]; then rm -f "$command"; fi
    echo "Removed. Your runs and settings stay where they are."
    exit 0
fi
case $here in
*[\"\`\$\\%]*) echo "install.sh: move this folder to a path without the characters \" \` \$ \\ %: $here" >&2; exit 2 ;;
esac
mkdir -p "${entry%/*}" "${command%/*}"
sed "s|^Exec=.*|Exec=\"$(printf %s "$here" | sed 's/[&|]/\\&/g')/luthier\" %F|" "$here/share/luthier.desktop" >"$entry"
(cd "$here/share" && find icons -type f) | while read -r icon; do
    mkdir -p "$data/${icon%/*}"
    cp "$here/share/$icon" "$data/$icon"
done
ln -sfn "$here/luthier" "$command"
if command -v update-desktop-database >/dev/null 2>&1; then update-desktop-database "${entry%/*}" || true; fi
echo "Luthier is in the menu of the desktop, and $command starts it."
