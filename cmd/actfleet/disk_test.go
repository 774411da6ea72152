package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// smallNode collects 6 units, of 8.5 MB but for the last.
func smallNode(t *testing.T, out string, more ...string) *process {
	t.Helper()
	args := []string{"collect", "--model", tinyModel, "--data", tinyData, "--limit", "1500", "--tokens", "all",
		"--sites", "resid,fc1", "--layers", "0", "--threads", "1", "--out", out}
	return start(t, append(args, more...)...)
}

// wantLine checks that a node ended with an error and one line that says all of says.
func (p *process) wantLine(t *testing.T, says ...string) {
	t.Helper()
	if code := p.wait(t); code != exitError {
		t.Errorf("ended with %d, want %d", code, exitError)
	}
	var last []string
	for line := range strings.Lines(p.err.String()) {
		if strings.HasPrefix(line, "actfleet: ") {
			last = append(last, line)
		}
	}
	if len(last) != 1 || strings.Contains(p.err.String(), "goroutine ") {
		t.Fatalf("want one line that says why, got:\n%s", p.err.String())
	}
	for _, word := range says {
		if !strings.Contains(last[0], word) {
			t.Errorf("%q does not say %q", last[0], word)
		}
	}
}

// The disk of a run is full: both nodes leave with a line and nothing half-written; when there is room again the same
// command goes on.
func TestFleetOnAFullDisk(t *testing.T) {
	disk := mount(t, 0, "size=30m")
	run := filepath.Join(disk, "run")
	a := smallNode(t, run, "--bind", "127.0.0.1:0")
	b := smallNode(t, run, "--join", a.address(t, run))
	a.wantLine(t, "no space left", run)
	b.wantLine(t, "no space left", run)
	wantNoRemains(t, run)
	if n := len(unitFiles(run)); n == 0 || n == 6 {
		t.Errorf("%d of 6 units fitted; the test wants some", n)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=100m"); err != nil {
		t.Fatal(err)
	}
	wantGoesOn(t, run)
}

// One node of a fleet has no room to keep a unit until it goes up: it leaves with a line and a goodbye, the others work on;
// when it has room the same command joins them again.
func TestS3FullSpool(t *testing.T) {
	_, run := bucketRun(t)
	spool, elsewhere := mount(t, 0, "size=6m"), os.TempDir()
	a := smallNode(t, run, "--bind", "127.0.0.1:0")
	seed := a.seed(t)
	a.signal(t, syscall.SIGUSR1)
	t.Setenv("TMPDIR", spool)
	b := smallNode(t, run, "--join", seed)
	b.wantLine(t, "no space left in the spool", "TMPDIR")
	if left, _ := os.ReadDir(spool); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	until(t, "a knows that b left", func() bool { return states(t, seed)["left"] == 1 }, a)
	if err := syscall.Mount("tmpfs", spool, "tmpfs", syscall.MS_REMOUNT, "size=40m"); err != nil {
		t.Fatal(err)
	}
	again := smallNode(t, run, "--join", seed)
	t.Setenv("TMPDIR", elsewhere)
	a.signal(t, syscall.SIGUSR2)
	for _, p := range []*process{a, again} {
		if code := p.wait(t); code != exitDone {
			t.Errorf("ended with %d: %s", code, p.err.String())
		}
	}
	wantOK(t, "check", run)
}

// wantGoesOn lets the same command finish a run.
func wantGoesOn(t *testing.T, run string) {
	t.Helper()
	if p := smallNode(t, run); p.wait(t) != exitDone {
		t.Fatalf("the same command again: %s", p.err.String())
	}
	wantOK(t, "check", run)
}

// The kernel finds an error and makes the file system read-only under a working node: it leaves with a line, and when the
// disk is mended the same command goes on.
func TestDiskTurnsReadOnly(t *testing.T) {
	disk := newExt4(t)
	run := filepath.Join(disk.dir, "run")
	p := smallNode(t, run)
	untilCommitted(t, run, 2, p)
	disk.fail(t)
	p.wantLine(t, "read-only", run)
	disk.mend(t)
	wantNoRemains(t, run)
	wantGoesOn(t, run)
}

// ext4 is a file system in a file.
type ext4 struct{ image, dir string }

// newExt4 makes one and mounts it, or skips.
func newExt4(t *testing.T) *ext4 {
	t.Helper()
	d := &ext4{image: filepath.Join(t.TempDir(), "image"), dir: t.TempDir()}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, 128<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", d.image).CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4: %v: %s", err, out)
	}
	if out, err := d.mount(); err != nil {
		t.Skipf("mount: %v: %s", err, out)
	}
	t.Cleanup(func() { must(t, "umount", d.dir) })
	return d
}

func (d *ext4) mount() ([]byte, error) {
	return exec.Command("mount", "-o", "loop,errors=remount-ro", d.image, d.dir).CombinedOutput()
}

// fail reports an error to the file system, as its driver does when it reads nonsense.
func (d *ext4) fail(t *testing.T) {
	t.Helper()
	device := filepath.Base(strings.TrimSpace(must(t, "findmnt", "-no", "SOURCE", d.dir)))
	if !strings.HasPrefix(device, "loop") {
		t.Fatalf("%s is on %s, which is not the test's", d.dir, device)
	}
	if err := os.WriteFile(fmt.Sprintf("/sys/fs/ext4/%s/trigger_fs_error", device), []byte("1"), 0); err != nil {
		t.Skipf("this kernel cannot fail a file system: %v", err)
	}
}

// mend checks the file system and mounts it again.
func (d *ext4) mend(t *testing.T) {
	t.Helper()
	must(t, "umount", d.dir)
	out, err := exec.Command("e2fsck", "-fy", d.image).CombinedOutput() // 1 and 2: it has corrected something
	if err != nil && err.(*exec.ExitError).ExitCode() > 2 {
		t.Fatalf("e2fsck: %v: %s", err, out)
	}
	if out, err := d.mount(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
}

func must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
