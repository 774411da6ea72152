package model_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/hub"
)

// cache lays a fixture out as the hub cache does: blobs, and snapshots of links to them.
func cache(t *testing.T, name string) (root string) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "models--some-org--Tiny-1")
	if err := os.CopyFS(filepath.Join(root, "blobs"), os.DirFS(filepath.Join("modeltest", "testdata", name))); err != nil {
		t.Fatal(err)
	}
	snapshot := filepath.Join(root, "snapshots", "abc123")
	mkdir(t, snapshot)
	blobs, err := os.ReadDir(filepath.Join(root, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blobs {
		if err := os.Symlink(filepath.Join("..", "..", "blobs", b.Name()), filepath.Join(snapshot, b.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

func setMain(t *testing.T, root, revision string) {
	t.Helper()
	mkdir(t, filepath.Join(root, "refs"))
	if err := os.WriteFile(filepath.Join(root, "refs", "main"), []byte(revision), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLoadHubCache(t *testing.T) {
	for _, fixture := range []string{"llama-3", "phi-b"} {
		root := cache(t, fixture)
		plain, _ := load(t, fixture)
		check := func(dir string) {
			t.Helper()
			m, err := model.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			if i := m.Info(); i.Name != "Tiny-1" || i.Digest != plain.Info().Digest {
				t.Errorf("%s: name %q, digest %s", dir, i.Name, i.Digest)
			}
		}
		check(root) // the only snapshot
		check(filepath.Join(root, "snapshots", "abc123"))
		mkdir(t, filepath.Join(root, "snapshots", "def456"))
		if _, err := model.Load(root); !errors.Is(err, hub.ErrAbsent) || !strings.Contains(err.Error(), "2 snapshots") {
			t.Errorf("two snapshots: %v", err)
		}
		setMain(t, root, "abc123\n")
		check(root)
		setMain(t, root, "../../elsewhere")
		if _, err := model.Identify(root); !errors.Is(err, hub.ErrAbsent) || !strings.Contains(err.Error(), "elsewhere") {
			t.Errorf("a ref out of the cache: %v", err)
		}
	}
}

func TestLoadHalfDownloaded(t *testing.T) {
	root := cache(t, "llama-3")
	if err := os.Remove(filepath.Join(root, "blobs", "model-00002-of-00002.safetensors")); err != nil {
		t.Fatal(err)
	}
	if _, err := model.Load(root); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "shard model-00002-of-00002.safetensors is missing") {
		t.Errorf("a dangling link: %v", err)
	}
}

func TestLoadPickle(t *testing.T) {
	dir := copyModel(t, "phi-b")
	if err := os.Rename(filepath.Join(dir, "model.safetensors"), filepath.Join(dir, "pytorch_model.bin")); err != nil {
		t.Fatal(err)
	}
	if _, err := model.Load(dir); err == nil || !strings.Contains(err.Error(), "safe_serialization") {
		t.Errorf("error %v", err)
	}
}
