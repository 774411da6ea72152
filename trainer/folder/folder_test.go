package folder

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func put(name string) func(string) error {
	return func(temp string) error { return os.WriteFile(filepath.Join(temp, name), []byte(name), 0o644) }
}

// holds checks that a folder holds just these names.
func holds(t *testing.T, dir string, names ...string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list {
		got = append(got, e.Name())
	}
	if len(got) != len(names) {
		t.Fatalf("%s holds %v, want %v", dir, got, names)
	}
	for i := range got {
		if got[i] != names[i] {
			t.Fatalf("%s holds %v, want %v", dir, got, names)
		}
	}
}

func TestFoldersAppearWhole(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b")
	if err := Make(dir, func(temp string) error {
		holds(t, filepath.Dir(dir), filepath.Base(temp))
		return put("x")(temp)
	}); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, "x")
	holds(t, filepath.Dir(dir), "b")
	if err := Make(dir, put("y")); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	holds(t, dir, "x")
	empty := filepath.Join(root, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Make(empty, put("z")); err != nil {
		t.Error(err)
	}
	holds(t, empty, "z")
}

func TestWhatFailsLeavesNothing(t *testing.T) {
	root := t.TempDir()
	no := errors.New("no")
	err := Make(filepath.Join(root, "a"), func(temp string) error { return errors.Join(put("x")(temp), no) })
	if !errors.Is(err, no) {
		t.Error(err)
	}
	holds(t, root)
}

// Of two that make one folder, the second is told while the first is at work.
func TestTheSecondIsTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	if err := Make(dir, func(temp string) error {
		if err := Make(dir, put("y")); !errors.Is(err, ErrBusy) {
			t.Error(err)
		}
		return put("x")(temp)
	}); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, "x")
}

// What a killed process left is neither taken for the folder nor kept.
func TestKilledOnesAreClearedAway(t *testing.T) {
	if dir := os.Getenv("FOLDER_TEST_DIR"); dir != "" {
		_ = Make(dir, func(temp string) error {
			if err := put("half")(temp); err != nil {
				return err
			}
			self, err := os.FindProcess(os.Getpid())
			if err != nil {
				return err
			}
			if err := self.Kill(); err != nil {
				return err
			}
			select {}
		})
		return
	}
	dir := filepath.Join(t.TempDir(), "a")
	c := exec.Command(os.Args[0], "-test.run", "^TestKilledOnesAreClearedAway$")
	c.Env = append(os.Environ(), "FOLDER_TEST_DIR="+dir)
	if err := c.Run(); err == nil {
		t.Fatal("the process was not killed")
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Fatal("a part of the folder is there")
	}
	if err := Make(dir, put("x")); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, "x")
	holds(t, filepath.Dir(dir), "a")
}
