#!/usr/bin/env bash
# setup.sh makes the tensor library ready, once per checkout:
#   finds a libtorch (or installs one), compiles build/lib/libtch.so for it, and libgroup.so where Gloo's headers are
#   (training on several processes), writes go.work.
# After it, plain `go build ./...` and `go test ./...` work without any environment.
#
#   scripts/setup.sh              everything; takes under a second when nothing changed
#   scripts/setup.sh --shim-only  only build/lib/libtch.so: for a machine with its own libtorch but
#                                 without Go, beside a program built elsewhere (bin/actfleet finds
#                                 libtch.so beside itself, in ../lib or in ../build/lib)
#   scripts/setup.sh --fakegpu    build/fakegpu/libtorch_cuda.so: a GPU for tests (internal/torch/fakegpu)
#
# gotch, whose C++ is compiled, comes from Go's module cache; without Go from the module proxy that GOPROXY
# names, checked against go.sum; without a network from build/src, copied from a machine where setup.sh ran.
#
# Read from the environment:
#   LIBTORCH  directory with include/ and lib/ of a libtorch to use (first choice)
#   PYTHON    the Python whose installed torch is the second choice (default python3)
#   BUILD     where to build (default build); a second build directory has a go.work of its own
#   GOTCH     directory with gotch's sources, where Go is missing
#   GPU       1: install the wheel with CUDA's libraries, 0: without (default: where there is an NVIDIA GPU)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
build=$(realpath -m "${BUILD:-build}")
shim_only= fakegpu=
gotch_version=$(awk '$1 == "github.com/sugarme/gotch" {print $2}' go.mod)
began=$SECONDS

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

case "${1:-}" in
"") ;;
--shim-only) shim_only=yes ;;
--fakegpu) fakegpu=yes ;;
-h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
*) die "unknown argument $1 (there are --shim-only and --fakegpu)" ;;
esac

# --- a libtorch: includes, libraries, where it came from ------------------------------------------------

multiarch() { gcc -print-multiarch 2>/dev/null || true; }

# use DIR: a directory laid out like the official archives and the wheels.
use() {
	[ -f "$1/include/torch/script.h" ] && [ -e "$1/lib/libtorch_cpu.so" ] || return 1
	includes=("$1/include" "$1/include/torch/csrc/api/include")
	libdir=$1/lib
}

use_system() {
	local dir
	[ -f /usr/include/torch/script.h ] || return 1
	for dir in "/usr/lib/$(multiarch)" /usr/lib64 /usr/lib; do
		[ -e "$dir/libtorch_cpu.so" ] || continue
		includes=(/usr/include /usr/include/torch/csrc/api/include)
		libdir=$dir
		return 0
	done
	return 1
}

# python_torch PYTHON: the folder of an installed torch, without importing it (that takes seconds).
python_torch() {
	"$1" -c 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")' 2>/dev/null || true
}

find_libtorch() {
	local dir
	if [ -n "${LIBTORCH:-}" ]; then
		use "$(realpath -m "$LIBTORCH")" || die "LIBTORCH=$LIBTORCH has no include/torch/script.h and lib/libtorch_cpu.so; point it at an unpacked libtorch or at a wheel's torch folder"
		source='$LIBTORCH'
		return
	fi
	dir=$(python_torch "${PYTHON:-python3}")
	if [ -n "$dir" ] && use "$dir"; then source="Python's torch"; return; fi
	if use_system; then source="the system's"; return; fi
	if use "$build/site/torch"; then source="installed by this script"; return; fi
	return 1
}

install_libtorch() {
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		say "no libtorch found: installing the system's (apt-get install libtorch-dev libopenblas0-pthread libgloo-dev; a minute or two, 200 MB to fetch, 1 GB on disk)"
		{ apt-get update -q && apt_get libtorch-dev libopenblas0-pthread; } >"$build/apt.log" 2>&1 && { install_gloo; return; }
		say "apt-get did not work, see $build/apt.log"
	fi
	install_wheel
}

apt_get() { DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"; }

# install_gloo fetches the headers that training on several processes is compiled with; all else works without them.
install_gloo() { apt_get libgloo-dev >>"$build/apt.log" 2>&1 || say "no libgloo-dev here, see $build/apt.log"; }

# nvidia names what shows that there is an NVIDIA GPU. Containers have the device and not /proc/driver, gVisor may
# have neither but nvidia-smi, WSL has /dev/dxg. GPU=1 says that there is, or will be, one; GPU=0 that there is none.
nvidia() {
	case "${GPU:-}" in
	0) return 1 ;;
	?*) echo "GPU=$GPU"; return 0 ;;
	esac
	local sign
	for sign in /dev/nvidia0 /dev/nvidiactl /dev/dxg /proc/driver/nvidia; do
		[ ! -e "$sign" ] || { echo "$sign"; return 0; }
	done
	nvidia-smi -L 2>/dev/null | grep -m1 '^GPU'
}

# install_wheel puts PyTorch's wheel into build/site. A wheel built for CUDA links its CPU library with two small CUDA
# libraries; the large ones are needed, and installed, only where there is a GPU.
install_wheel() {
	local python=${PYTHON:-python3} pip cuda suffix=
	pip=("$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$build/site")
	"$python" -m pip --version >/dev/null 2>&1 ||
		die "no libtorch found and no pip to fetch one: run 'sudo apt-get install libtorch-dev libopenblas0-pthread libgloo-dev', or 'sudo apt-get install python3-pip' and this again, or set LIBTORCH to an unpacked libtorch"
	say "no libtorch found: installing PyTorch's wheel into $build/site (some minutes, 1.3 GB, more where there is a GPU)"
	rm -rf "$build/site"
	if nvidia; then
		say "there is an NVIDIA GPU ($(nvidia)): with the CUDA libraries"
		"${pip[@]}" torch || die "pip install torch did not work"
		return
	fi
	"${pip[@]}" --no-deps torch || die "pip install torch did not work"
	cuda=$(sed -n "s/^cuda.*= '\([0-9]*\.[0-9]*\).*/\1/p" "$build/site/torch/version.py")
	[ -n "$cuda" ] || return 0
	[ "${cuda%.*}" -ge 13 ] || suffix=-cu${cuda%.*}
	"${pip[@]}" --no-deps "nvidia-cuda-runtime$suffix==$cuda.*" "nvidia-cuda-cupti$suffix==$cuda.*" ||
		die "pip install of the CUDA $cuda runtime, which this PyTorch needs, did not work"
}

# version_of the libtorch in use, from its headers.
version_of() {
	local file dir
	for dir in "${includes[@]}"; do
		for file in "$dir/torch/version.h" "$dir/torch/headeronly/version.h"; do
			[ -f "$file" ] || continue
			awk '/define TORCH_VERSION_(MAJOR|MINOR|PATCH)/ {v = v (v == "" ? "" : ".") $3} END {if (v == "") exit 1; print v}' "$file" && return
		done
	done
	die "cannot read the version of the libtorch in ${includes[0]}"
}

# flags_of the libtorch in use: the C++ standard its headers ask for, and its string ABI.
flags_of() {
	local all=torch/csrc/api/include/torch/all.h
	flags=(-std=c++17)
	grep -q 202002L "${includes[0]}/$all" 2>/dev/null && flags=(-std=c++20)
	# grep -c, not -q: that one would end nm by a broken pipe, which pipefail reports as "no match".
	[ "$(nm -D --defined-only "$libdir/libc10.so" | grep -c __cxx11)" != 0 ] || flags+=(-D_GLIBCXX_USE_CXX11_ABI=0)
	flags+=(-fPIC -w -g0)
	local dir
	for dir in "${includes[@]}"; do
		[ "$dir" = /usr/include ] || flags+=(-I"$dir")
	done
}

# --- gotch's sources ------------------------------------------------------------------------------------

# gotch_dir is where gotch's sources are: all of them, or in build/src only the operators in use.
gotch_dir() {
	if [ -n "${GOTCH:-}" ]; then echo "$GOTCH"; return; fi
	if command -v go >/dev/null; then
		GOWORK=off GOFLAGS=-mod=mod go mod download github.com/sugarme/gotch || die "cannot download the module github.com/sugarme/gotch"
		GOWORK=off GOFLAGS=-mod=mod go list -m -f '{{.Dir}}' github.com/sugarme/gotch
		return
	fi
	if [ ! -f "$build/src/operators" ]; then
		"${PYTHON:-python3}" scripts/setup/fetch_gotch.py "$gotch_version" "$build/module" >&2 ||
			die "no Go here and no sources of gotch: set GOPROXY to a module proxy, copy $build/src from a machine where setup.sh ran, or set GOTCH to gotch $gotch_version"
		echo "$build/module"
		return
	fi
	echo "$build/src"
}

# operators_used are gotch's operators that internal/torch calls, by their names in Go.
operators_used() { grep -ohE '\blib\.Atg[A-Za-z0-9_]+' internal/torch/*.go | sed 's/^lib\.//' | sort -u | tr '\n' ' '; }

# trim_operators DIR keeps the operators in use of the gotch in DIR: they compile in seconds, all 2,500 in minutes.
trim_operators() {
	local dir=$1/libtch src=$build/src.new file missing
	rm -rf "$src"
	mkdir -p "$src"
	missing=$(awk -v keep="$(operators_used)" -v names="$src/operators" -f scripts/setup/operators.awk "$dir/c-generated.go" 2>&1 >"$src/c-generated.txt") ||
		die "internal/torch calls what gotch $gotch_version has not generated: $missing. Write it in internal/torch/shim/ops.cpp"
	for file in torch_api_generated.cpp.h torch_api_generated.h; do
		awk -v keep="$(tr '\n' ' ' <"$src/operators")" -f scripts/setup/operators.awk "$dir/$file" >"$src/$file" ||
			die "gotch's $dir/$file lacks an operator of its Go side"
	done
	cp "$dir"/stb_image*.h "$dir"/torch_api.{h,cpp} "$1/LICENSE" "$src/"
	chmod -R u+w "$src"
	rm -rf "$build/src"
	mv "$src" "$build/src"
}

copy_gotch() {
	local dir
	dir=$(gotch_dir)
	[ "$dir" = "$build/src" ] || trim_operators "$dir"
	[ -n "$shim_only" ] && return
	local work
	work=$(mktemp -d "$build/gotch.XXXXXX")
	mkdir "$work/libtch"
	cp "$dir"/libtch/{device,pointer-store,scalar,tensor}.go scripts/setup/load.c "$work/libtch/"
	cp "$build"/src/torch_api{,_generated}.h "$work/libtch/"
	cp "$build/src/c-generated.txt" "$work/libtch/c-generated.go" # as .go it would make build/src a package of ours
	cp "$dir/LICENSE" "$work/"
	chmod -R u+w "$work"
	printf 'module github.com/sugarme/gotch\n\ngo 1.20\n' >"$work/go.mod"
	cat >"$work/libtch/lib.go" <<-GO
		package libtch

		// #cgo CFLAGS: -I\${SRCDIR}
		// #cgo LDFLAGS: -ldl
		import "C"
	GO
	names | awk -v arch="$(uname -m)" -v path="$build/lib/libtch.so" -f scripts/setup/jumps.awk >"$work/libtch/jumps.S"
	rm -rf "$build/gotch"
	mv "$work" "$build/gotch"
	chmod 755 "$build/gotch"
}

# names of the C functions a program calls: gotch's and our own.
names() {
	cat "$build"/src/torch_api.h "$build"/src/torch_api_generated.h internal/torch/shim/shim.h |
		grep -oE '^[a-z][a-z0-9_ ]*[ *]+((at[a-z]*|af)_[A-Za-z0-9_]+|get_and_reset_last_err)\(' |
		sed -E 's/\($//; s/.*[ *]//' | sort -u
}

# --- libtch.so ------------------------------------------------------------------------------------------

# compile OBJECT KEY COMMAND…: runs the command unless OBJECT was made from the same KEY.
compile() {
	local object=$1 key=$2 start=$SECONDS
	shift 2
	[ -f "$object" ] && [ "$(cat "$object.key" 2>/dev/null)" = "$key" ] && return
	rm -f "$object.key"
	"$@" || return
	printf '%s' "$key" >"$object.key"
	say "compiled $(basename "$object") ($((SECONDS - start)) s)"
}

hash_of() { cat "$@" | sha256sum | cut -c1-16; }

compile_shim() { g++ "${flags[@]}" -O2 -c "$1" -o "$2"; }

# compile_api compiles gotch's torch_api.cpp. Operators that this libtorch lacks do not compile; they are
# replaced by a throw, so that using one is an error at run time and the rest works.
compile_api() {
	local object=$1 src=$build/src work=$build/obj/api pass
	rm -rf "$work"
	mkdir -p "$work"
	cp "$src"/*.h "$src/torch_api.cpp" "$work/"
	: >"$build/obj/stubbed"
	say "compiling the tensor library for it: half a minute, once"
	for pass in 1 2 3 4 5 6; do
		if g++ "${flags[@]}" -O1 -fmax-errors=0 -I"$work" -c "$work/torch_api.cpp" -o "$object" 2>"$work/errors"; then
			return
		fi
		blank_operators "$work" || die "gotch's torch_api.cpp does not compile against this libtorch: $(grep -m1 error: "$work/errors" || head -1 "$work/errors") (all of it: $work/errors)"
	done
	die "gotch's torch_api.cpp does not compile against this libtorch after $pass passes, see $work/errors"
}

blank_operators() {
	local work=$1 lines
	lines=$(grep -oE 'torch_api_generated\.cpp\.h:[0-9]+:[0-9]+: (fatal )?error:' "$work/errors" | cut -d: -f2 | sort -un | tr '\n' ' ')
	[ -n "$lines" ] || return 1
	! grep -qE 'torch_api\.cpp:[0-9]+:[0-9]+: (fatal )?error:' "$work/errors" || return 1
	awk -v lines="$lines" -v names="$work/names" -f scripts/setup/blank.awk "$work/torch_api_generated.cpp.h" >"$work/blanked"
	mv "$work/blanked" "$work/torch_api_generated.cpp.h"
	cat "$work/names" >>"$build/obj/stubbed"
}

build_library() {
	mkdir -p "$build/obj" "$build/lib"
	local base key f objects=("$build/obj/torch_api.o")
	base="$version ${flags[*]} $(g++ -dumpfullversion)"
	key="$base $(hash_of "$build"/src/*.{h,cpp} scripts/setup/blank.awk)"
	compile "$build/obj/torch_api.o" "$key" compile_api "$build/obj/torch_api.o" &
	local api=$!
	for f in internal/torch/shim/*.cpp; do
		key="$base $(hash_of "$f" internal/torch/shim/*.h)"
		objects+=("$build/obj/$(basename "$f" .cpp).o")
		compile "${objects[-1]}" "$key" compile_shim "$f" "${objects[-1]}" || die "$f does not compile against libtorch $version"
	done
	wait $api || die "gotch's torch_api.cpp was not compiled"
	# The new library replaces the old one whole: programs that run keep the one they opened.
	g++ -shared -o "$build/lib/libtch.so.new" "${objects[@]}" -L"$libdir" -Wl,--enable-new-dtags \
		-Wl,-rpath,"$libdir" -Wl,-rpath,'$ORIGIN' -Wl,-z,defs -Wl,--no-as-needed -ltorch_cpu -lc10 ||
		die "linking libtch.so against $libdir did not work"
	mv "$build/lib/libtch.so.new" "$build/lib/libtch.so"
}

# --- libgroup.so ----------------------------------------------------------------------------------------

# gloo_headers: whether the libtorch in use comes with Gloo's headers; those of another version would not fit it.
gloo_headers() { [ -f "${includes[0]}/gloo/algorithm.h" ] && [ -f "${includes[0]}/torch/csrc/distributed/c10d/ProcessGroupGloo.hpp" ]; }

# build_group compiles what training on several processes needs, where it can be had.
build_group() {
	local dir=internal/torch/reduce/gloo object=$build/obj/gloo.o
	if gloo_headers && compile "$object" "$version ${flags[*]} $(g++ -dumpfullversion) $(hash_of $dir/* internal/torch/shim/protect.h)" compile_shim $dir/gloo.cpp "$object" &&
		g++ -shared -o "$build/lib/libgroup.so.new" "$object" -L"$libdir" -Wl,--enable-new-dtags -Wl,-rpath,"$libdir" -Wl,-z,defs -ltorch_cpu -lc10; then
		mv "$build/lib/libgroup.so.new" "$build/lib/libgroup.so"
		return
	fi
	rm -f "$build/lib/libgroup.so"
	say "without training on several processes: this libtorch has no headers of Gloo (on Debian and Ubuntu: apt-get install libtorch-dev libgloo-dev)"
}

# --- the GPU for tests ----------------------------------------------------------------------------------

# build_fakegpu compiles a libtorch_cuda.so whose devices are host memory, for a libtorch that has none.
build_fakegpu() {
	local dir=internal/torch/fakegpu/cuda part out=$build/fakegpu key objects=()
	mkdir -p "$build/obj" "$out"
	key="$version ${flags[*]} $(g++ -dumpfullversion) $(hash_of "$dir"/*)"
	for part in memory streams operators; do
		objects+=("$build/obj/fakegpu_$part.o")
		compile "${objects[-1]}" "$key" compile_shim "$dir/$part.cpp" "${objects[-1]}" || die "$dir/$part.cpp does not compile against libtorch $version"
	done
	g++ -shared -o "$out/libtorch_cuda.so.new" "${objects[@]}" -L"$libdir" -Wl,--enable-new-dtags -Wl,-rpath,"$libdir" -Wl,-z,defs -ltorch_cpu -lc10 ||
		die "linking the GPU for tests against $libdir did not work"
	mv "$out/libtorch_cuda.so.new" "$out/libtorch_cuda.so"
}

# --- go.work --------------------------------------------------------------------------------------------

write_work() {
	local file=$root/go.work
	[ "$build" = "$root/build" ] || file=$build/go.work
	GOWORK=$file
	printf 'go %s\n\nuse %s\n\nreplace github.com/sugarme/gotch => %s\n' \
		"$(awk '$1 == "go" {print $2}' go.mod)" "$(relative "$root" "$file")" "$(relative "$build/gotch" "$file")" >"$file"
	say "wrote $file"
}

# warm_go compiles the Go side of gotch while g++ compiles the rest.
warm_go() {
	local start=$SECONDS
	export GOWORK
	go build github.com/sugarme/gotch/libtch && say "compiled gotch's Go side ($((SECONDS - start)) s)"
}

relative() { local r; r=$(realpath -m --relative-to="$(dirname "$2")" "$1"); case $r in ..* | .) echo "$r" ;; *) echo "./$r" ;; esac; }

# --- all of it ------------------------------------------------------------------------------------------

command -v g++ >/dev/null || die "g++ is missing: apt-get install g++ (Debian, Ubuntu) or your system's C++ compiler"
[ -n "$shim_only$fakegpu" ] || command -v go >/dev/null || die "Go is missing: install Go $(awk '$1 == "go" {print $2}' go.mod) or newer (--shim-only does without)"
mkdir -p "$build"
if command -v flock >/dev/null; then # two set-ups at once would take each other's objects
	exec 9>"$build/lock"
	flock 9
fi
if ! find_libtorch; then
	install_libtorch
	find_libtorch || die "libtorch was installed but is not found: set LIBTORCH to its directory"
fi
version=$(version_of)
if [ -n "$fakegpu" ]; then
	flags_of
	build_fakegpu
	exit 0
fi
stamp="$libdir $version gotch $gotch_version $(g++ -dumpfullversion) ${shim_only:-all} $(operators_used | hash_of) $(hash_of "$0" scripts/setup/* internal/torch/shim/* internal/torch/reduce/gloo/*) $(gloo_headers && echo gloo || true) $root"
if [ "$(cat "$build/stamp" 2>/dev/null)" = "$stamp" ] && [ -f "$build/lib/libtch.so" ] && { [ -n "$shim_only" ] || [ -f "$build/gotch/go.mod" ]; }; then
	say "up to date: libtorch $version ($source, $libdir)"
	exit 0
fi
rm -f "$build/stamp"
say "libtorch $version: $source, $libdir"
flags_of
copy_gotch
if [ -z "$shim_only" ]; then
	write_work
	warm_go &
	warming=$!
fi
build_library
build_group
[ -n "$shim_only" ] || wait $warming || die "gotch's Go side does not compile, see above"
printf '%s' "$stamp" >"$build/stamp"
say "done in $((SECONDS - began)) s: libtorch $version, $(wc -l <"$build/obj/stubbed") operators it lacks stubbed, $build/lib/libtch.so"
