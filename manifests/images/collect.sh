#!/bin/sh
# Runs while an image is built, in a Debian root: gathers programs with the shared libraries that they need, so that the image holds
# these and nothing else.
#
#   collect.sh programs OUT NAME…   to the same paths below OUT, for programs that run in the image
#   collect.sh portable OUT NAME…   to OUT/bin, OUT/lib and OUT/libexec with their own loader, for any Linux of this architecture,
#                                   however old its C library. NAME may be NEW=OLD: called NEW, for programs that ask for their name.
#   collect.sh placed OUT FOLDER NAME…   to OUT/bin and OUT/lib, to run in FOLDER of any Linux and nowhere else: for programs that run
#                                   themselves again (/proc/self/exe), which would be the loader if that were called with them
#   collect.sh skeleton OUT         folders, users and links that programs expect
set -eu
how=$1 out=$2
shift 2

# The file itself of a program or library: through links of its folder and of its own.
real() { readlink -f "$1"; }

# libraries FILE: absolute paths of the libraries and the loader
libraries() { ldd "$1" 2>/dev/null | sed -nE 's/^.*(=> )?[[:space:]](\/[^ ]+) \(0x.*$/\2/p'; }

# keep PATH: the file at that path (its folder's links resolved) below OUT
keep() {
  folder=$(real "${1%/*}")
  mkdir -p "$out$folder"
  [ -e "$out$folder/${1##*/}" ] || cp -L "$1" "$out$folder/${1##*/}"
}

# Debian's Node.js reads some of its own modules from files.
node_modules() {
  libraries "$1" | grep libnode | while read -r library; do
    grep -aoE '/usr/share/nodejs/[A-Za-z0-9/_.@-]+\.[a-z]+' "$library" | sort -u | while read -r module; do
      [ ! -f "$module" ] || keep "$module"
    done
  done
}

case $how in
programs)
  for name; do
    program=$(command -v "$name")
    keep "$program"
    for library in $(libraries "$program"); do keep "$library"; done
    [ "$name" != node ] || node_modules "$program"
  done
  ;;
portable)
  mkdir -p "$out/bin" "$out/lib" "$out/libexec"
  for name; do
    program=$(real "$(command -v "${name#*=}")")
    name=${name%%=*}
    cp -L "$program" "$out/libexec/${program##*/}"
    loader=
    for library in $(libraries "$program"); do
      case $library in */ld-linux*) loader=${library##*/} ;; esac
      [ -e "$out/lib/${library##*/}" ] || cp -L "$library" "$out/lib/${library##*/}"
    done
    modules=
    case $program in */xtables-*)
      mkdir -p "$out/lib/xtables"
      cp -L "$(dirname "$(ldconfig -p | sed -n 's/^.*libxtables\.so.* => //p' | head -n 1)")"/xtables/*.so "$out/lib/xtables/"
      modules='XTABLES_LIBDIR=$dir/lib/xtables '
      ;;
    esac
    cat >"$out/bin/$name" <<EOF
#!/bin/sh
# $name with its own libraries, whatever this node has.
dir=\${0%/*}/..
${modules}exec "\$dir/lib/$loader" --argv0 "$name" --library-path "\$dir/lib" "\$dir/libexec/${program##*/}" "\$@"
EOF
    chmod 755 "$out/bin/$name"
  done
  ;;
placed)
  folder=$1
  shift
  mkdir -p "$out/bin" "$out/lib"
  for name; do
    program=$(real "$(command -v "$name")")
    cp -L "$program" "$out/bin/$name"
    for library in $(libraries "$program"); do
      [ -e "$out/lib/${library##*/}" ] || cp -L "$library" "$out/lib/${library##*/}"
    done
    loader=$(patchelf --print-interpreter "$program")
    # Not as a RUNPATH: that would not hold for the libraries of libraries.
    patchelf --set-interpreter "$folder/lib/${loader##*/}" --force-rpath --set-rpath "$folder/lib" "$out/bin/$name"
  done
  ;;
skeleton)
  for folder in bin sbin lib lib64; do
    [ -L "/$folder" ] || continue
    mkdir -p "$out/usr/$folder"
    ln -s "usr/$folder" "$out/$folder"
  done
  for folder in dev etc proc root run sys tmp var/lib mnt/checkpoints; do mkdir -p "$out/$folder"; done
  chmod 1777 "$out/tmp"
  echo 'root:x:0:0:root:/root:/bin/sh
nonroot:x:65532:65532:nonroot:/tmp:/bin/false' >"$out/etc/passwd"
  echo 'root:x:0:
nonroot:x:65532:' >"$out/etc/group"
  ;;
esac
