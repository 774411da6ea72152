package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTwoMachines does, word for word, what docs/fleet.md tells somebody with two machines to do: on a disk, and in a
// bucket with the server on a third. The machines are network namespaces; scripts/two_machines.sh makes room for them.
func TestTwoMachines(t *testing.T) {
	if os.Getenv("ACTFLEET_FLEET_NET") == "" {
		t.Skip("no network of its own (ACTFLEET_FLEET_NET); make test-fleet makes one")
	}
	lab := newLab(t, 3)
	t.Run("disk", func(t *testing.T) {
		d := newDesk(t, lab, "## Two machines, one disk")
		key, first, other, meanwhile, afterwards := d.blocks[0], d.blocks[1], d.blocks[2], d.blocks[3], d.blocks[4]
		d.must(0, key)
		d.collect(first, other, func() {
			if seen := d.must(1, meanwhile); strings.Count(seen, "working")+strings.Count(seen, "waiting") != 2 {
				t.Errorf("status shows\n%s", seen)
			}
		})
		if seen := d.must(1, afterwards); !strings.Contains(seen, "is whole") {
			t.Errorf("check says %s", seen)
		}
	})
	t.Run("bucket", func(t *testing.T) {
		d := newDesk(t, lab, "## Two machines, a bucket")
		access, first, other, server := d.blocks[0], d.blocks[1], d.blocks[2], d.blocks[3]
		d.must(0, readBlocks(t, "## Two machines, one disk")[0])
		d.start(2, server)
		access = strings.Replace(strings.Replace(access, "…", "trial", 1), "…", "trialtrial", 1) + "\n"
		d.collect(access+first, access+other, func() {})
		if seen := d.must(0, access+"actfleet check s3://fleet/night"); !strings.Contains(seen, "is whole") {
			t.Errorf("check says %s", seen)
		}
	})
}

// readBlocks returns the shell blocks below a heading of docs/fleet.md.
func readBlocks(t *testing.T, heading string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for {
		_, rest, ok := strings.Cut(section, "```sh\n")
		if !ok {
			return blocks
		}
		block, behind, _ := strings.Cut(rest, "```")
		blocks, section = append(blocks, block), behind
	}
}

// desk is where somebody sits who has three machines and the document: a directory with the program in the path.
type desk struct {
	*testing.T
	lab    *lab
	dir    string
	blocks []string
	words  *strings.Replacer // of the document, for what is here
}

func newDesk(t *testing.T, l *lab, heading string) *desk {
	t.Helper()
	d := &desk{T: t, lab: l, dir: t.TempDir(), blocks: readBlocks(t, heading)}
	model, err := filepath.Abs(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	d.words = strings.NewReplacer("/models/phi-2", model, "/shared/", d.dir+"/", "10.0.0.", "10.9.0.")
	repo := filepath.Dir(filepath.Dir(model))
	for name, to := range map[string]string{
		"actfleet": os.Args[0], "scripts": filepath.Join(repo, "scripts"), "build": filepath.Join(repo, "build"),
		"prompts.jsonl": manyPrompts(t, 5000),
	} {
		if to, err = filepath.Abs(to); err == nil {
			err = os.Symlink(to, filepath.Join(d.dir, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// start runs shell lines of the document on a machine, until the test ends.
func (d *desk) start(machine int, block string) *process {
	d.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	p := &process{Cmd: exec.CommandContext(ctx, "ip", "netns", "exec", d.lab.name(machine), "bash", "-ec", d.words.Replace(block))}
	p.Dir, p.SysProcAttr = d.dir, &syscall.SysProcAttr{Setpgid: true}
	p.Cancel = func() error { return syscall.Kill(-p.Process.Pid, syscall.SIGKILL) } // the shell and what it started
	p.Env = append(os.Environ(), "PATH="+d.dir+":"+os.Getenv("PATH"))
	p.Stdout, p.Stderr = &p.out, &p.err
	p.WaitDelay = time.Second
	if err := p.Start(); err != nil {
		d.Fatal(err)
	}
	d.Cleanup(cancel)
	return p
}

// must runs shell lines that succeed, and returns what they print.
func (d *desk) must(machine int, block string) string {
	d.Helper()
	p := d.start(machine, block)
	if code := p.wait(d.T); code != exitDone {
		d.Fatalf("%s\nended with %d: %s", block, code, p.err.String())
	}
	return p.out.String()
}

var ownUnits = regexp.MustCompile(`This node committed [1-9]\d* of them`)

// collect starts the first machine and, when that says where it listens, the other; both must commit something.
func (d *desk) collect(first, other string, meanwhile func()) {
	d.Helper()
	a := d.start(0, first)
	a.seed(d.T)
	b := d.start(1, other)
	d.says(b, "unit committed")
	meanwhile()
	for i, p := range []*process{a, b} {
		code := p.wait(d.T)
		if said := p.out.String(); code != exitDone || !ownUnits.MatchString(said) {
			d.Errorf("machine %d ended with %d: %s%s", i+1, code, said, p.err.String())
		}
	}
}

// says waits for words of a process on stderr.
func (d *desk) says(p *process, words string) {
	d.Helper()
	until(d.T, fmt.Sprintf("a machine says %q", words), func() bool { return strings.Contains(p.err.String(), words) }, p)
}
