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
	"actfleet/internal/smallfile"
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

func TestAModelOfTheHubIsFoundByItsName(t *testing.T) {
	t.Setenv("HF_HUB_OFFLINE", "1")
	root := cache(t, "phi-b") // models--some-org--Tiny-1
	t.Setenv("HF_HUB_CACHE", filepath.Dir(root))
	t.Chdir(t.TempDir())
	plain, err := model.Identify(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"some-org/Tiny-1", "some-org/Tiny-1@abc123"} {
		got, err := model.Fetch(t.Context(), name, nil)
		if err != nil || got != name {
			t.Errorf("fetch of what is there: %s, %v", got, err)
		}
		if info, err := model.Identify(name); err != nil || info.Digest != plain.Digest || info.Name != "Tiny-1" {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
	}
	for name, says := range map[string]string{"some-org/Tiny-2": "not a directory here", "some-org/Tiny-1@v9": "refs/v9", "./nowhere/at/all": "no such file", "x.gguf": "no such file"} {
		if _, err := model.Fetch(t.Context(), name, nil); err != nil {
			t.Errorf("fetch without a network: %v", err)
		}
		_, err := model.Load(name)
		_, tokErr := model.LoadTokenizer(name)
		for _, err := range []error{err, tokErr} {
			if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), name[:5]) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v, want one line that says %q", name, err, says)
			}
		}
	}
}

func TestAFileThatIsNoFileIsRefused(t *testing.T) {
	for _, name := range []string{"config.json", "tokenizer.json", "tokenizer_config.json", "adapter_config.json", "model.safetensors.index.json"} {
		dir := copyModel(t, "phi-b")
		write(t, filepath.Join(dir, "tokenizer.json"), []byte(`{}`))
		_ = os.Remove(filepath.Join(dir, name))
		if err := os.Symlink("/dev/zero", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		_, err := model.Load(dir)
		_, tokErr := model.LoadTokenizer(dir)
		if err := errors.Join(err, tokErr); !errors.Is(err, smallfile.ErrNotRegular) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWithoutATokenizerItIsSaidWhatToDo(t *testing.T) {
	dir := copyModel(t, "phi-b")
	write(t, filepath.Join(dir, "tokenizer.model"), nil)
	_, err := model.LoadTokenizer(dir)
	if !errors.Is(err, model.ErrNoTokenizer) || !strings.Contains(err.Error(), "input_ids") || !strings.Contains(err.Error(), "tokenizer.model") {
		t.Errorf("error %v", err)
	}
}
