package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"actfleet/internal/smallfile"
)

// ErrAbsent says that a model, or a revision of it, is not in the cache.
var ErrAbsent = errors.New("no usable snapshot")

// ID names a model of the hub.
type ID struct {
	Repo     string // ORG/NAME
	Revision string // a branch, a tag or a commit
}

// idForm is a name as the hub allows it, with a revision.
var idForm = regexp.MustCompile(`^([A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?)(?:@([\w][\w./-]*))?$`)

// ParseID reads ORG/NAME or ORG/NAME@REVISION; ok is false for what can be no name of a model.
func ParseID(text string) (id ID, ok bool) {
	m := idForm.FindStringSubmatch(text)
	if m == nil || strings.Contains(text, "--") || strings.Contains(text, "..") {
		return ID{}, false
	}
	id = ID{Repo: m[1], Revision: m[2]}
	if id.Revision == "" {
		id.Revision = "main"
	}
	return id, true
}

// String is the name with its revision.
func (id ID) String() string {
	if id.Revision == "main" {
		return id.Repo
	}
	return id.Repo + "@" + id.Revision
}

// CacheDir is where the hub's cache lies, as the environment says: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub,
// XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub.
func CacheDir(getenv func(string) string) string {
	for _, key := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"} {
		if dir := getenv(key); dir != "" {
			return dir
		}
	}
	return filepath.Join(home(getenv), "hub")
}

// home is where the hub's own programs keep the cache and the token.
func home(getenv func(string) string) string {
	if dir := getenv("HF_HOME"); dir != "" {
		return dir
	}
	if dir := getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "huggingface")
	}
	return filepath.Join(getenv("HOME"), ".cache", "huggingface")
}

// folder is a model's own in the cache.
func (id ID) folder(cache string) string {
	return filepath.Join(cache, "models--"+strings.ReplaceAll(id.Repo, "/", "--"))
}

// Find returns the snapshot of a model in a cache. ErrAbsent when there is none of that revision.
func Find(cache string, id ID) (string, error) {
	folder := id.folder(cache)
	if _, err := os.Stat(filepath.Join(folder, "snapshots")); err != nil {
		return "", fmt.Errorf("%w of %s in the hub's cache %s", ErrAbsent, id, cache)
	}
	return Snapshot(folder, id.Revision)
}

// Snapshot returns the snapshot of a revision in a model's folder models--ORG--NAME: the one that refs/<revision>
// names, the one of that very commit, or, for main without a ref, the only one. ErrAbsent when that is none.
func Snapshot(folder, revision string) (string, error) {
	snapshots, err := os.ReadDir(filepath.Join(folder, "snapshots"))
	if err != nil {
		return "", err
	}
	commit, err := ref(folder, revision)
	if err != nil {
		return "", fmt.Errorf("find snapshot in %s: %w", folder, err)
	}
	if commit == "" && revision == "main" && len(snapshots) == 1 {
		commit = snapshots[0].Name()
	}
	for _, s := range snapshots {
		if s.Name() == commit || commit == "" && s.Name() == revision {
			return filepath.Join(folder, "snapshots", s.Name()), nil
		}
	}
	if commit == "" {
		return "", fmt.Errorf("%w: %s has %d snapshots and no refs/%s; name one of the directories in snapshots/", ErrAbsent, folder, len(snapshots), revision)
	}
	return "", fmt.Errorf("%w: refs/%s of %s names snapshot %q, which is not there; download the model again", ErrAbsent, revision, folder, commit)
}

// ref reads the commit of a branch or tag; an absent one gives "".
func ref(folder, revision string) (string, error) {
	text, err := smallfile.Read(filepath.Join(folder, "refs", filepath.FromSlash(revision)), 256)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), err
}

// Name is the model's name of a directory that is a snapshot in a cache, NAME without ORG; "" for any other.
func Name(dir string) string {
	parent := filepath.Dir(dir)
	folder := filepath.Base(filepath.Dir(parent))
	if filepath.Base(parent) != "snapshots" || !strings.HasPrefix(folder, "models--") {
		return ""
	}
	return folder[strings.LastIndex(folder, "--")+2:]
}
