package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"actfleet/internal/smallfile"
)

// What the hub says.
var (
	// ErrRefused says that the hub does not give a model out: it is not there, or it is gated.
	ErrRefused = errors.New("the hub does not give it out")
	// ErrCorrupt says that the hub sent something else than it announced.
	ErrCorrupt = errors.New("the hub sent something else than it announced")
)

// Source is where models come from.
type Source struct {
	Endpoint string // https://huggingface.co, or a mirror's
	Token    string // "" without one
	Client   *http.Client
	Progress func(file string, size int64) // told of each file before it is fetched; nil: nobody
}

// NewSource reads the endpoint (HF_ENDPOINT) and the token (HF_TOKEN, else the file HF_TOKEN_PATH, else token where the
// cache's home is). ok is false where the environment forbids the network (HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE).
func NewSource(getenv func(string) string) (s Source, ok bool, err error) {
	for _, key := range []string{"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		if v := strings.ToLower(getenv(key)); v != "" && v != "0" && v != "false" && v != "no" && v != "off" {
			return s, false, nil
		}
	}
	s = Source{Endpoint: "https://huggingface.co", Token: getenv("HF_TOKEN"), Client: http.DefaultClient}
	if e := getenv("HF_ENDPOINT"); e != "" {
		s.Endpoint = strings.TrimRight(e, "/")
	}
	if s.Token != "" {
		return s, true, nil
	}
	at := getenv("HF_TOKEN_PATH")
	if at == "" {
		at = filepath.Join(home(getenv), "token")
	}
	text, err := smallfile.Read(at, 4<<10)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	s.Token = strings.TrimSpace(string(text))
	return s, true, err
}

// listing is the hub's answer about a revision.
type listing struct {
	SHA   string `json:"sha"`
	Files []struct {
		Name string `json:"rfilename"`
	} `json:"siblings"`
}

const (
	maxListing = 32 << 20 // bytes
	maxFiles   = 10_000
)

var commitForm = regexp.MustCompile(`^[0-9a-f]{40}$`)

// wanted are the files of a model that are read here.
var wanted = regexp.MustCompile(`^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|adapter_config)\.json$|` +
	`^model(-\d+-of-\d+)?\.safetensors$|^model\.safetensors\.index\.json$|^chat_template\.(jinja|json)$`)

// Fetch brings the files of a model that are read here into a cache, unless they are there, and returns its snapshot.
// An interrupted Fetch is continued by the next one.
func (s Source) Fetch(ctx context.Context, cache string, id ID) (string, error) {
	list, err := s.list(ctx, id)
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", id, err)
	}
	folder := id.folder(cache)
	if err := os.MkdirAll(filepath.Join(folder, "blobs"), 0o755); err != nil {
		return "", err
	}
	blobs := map[string]string{}
	for _, f := range list.Files {
		if !wanted.MatchString(f.Name) {
			continue
		}
		if blobs[f.Name], err = s.file(ctx, folder, id, list.SHA, f.Name); err != nil {
			return "", fmt.Errorf("fetch %s of %s: %w", f.Name, id, err)
		}
	}
	if len(blobs) == 0 {
		return "", fmt.Errorf("fetch %s: it has no config.json and no safetensors file", id)
	}
	snapshot := filepath.Join(folder, "snapshots", list.SHA)
	if err := link(snapshot, blobs); err != nil || id.Revision == list.SHA {
		return snapshot, err
	}
	return snapshot, writeRef(filepath.Join(folder, "refs", filepath.FromSlash(id.Revision)), list.SHA)
}

// link makes a snapshot of files whose blobs are all there.
func link(snapshot string, blobs map[string]string) error {
	if err := os.MkdirAll(snapshot, 0o755); err != nil {
		return err
	}
	for name, hash := range blobs {
		at := filepath.Join(snapshot, name)
		if _, err := os.Stat(at); err == nil {
			continue
		}
		_ = os.Remove(at) // one that led nowhere
		if err := os.Symlink(filepath.Join("..", "..", "blobs", hash), at); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

func (s Source) list(ctx context.Context, id ID) (l listing, err error) {
	r, err := s.get(ctx, s.Endpoint+path.Join("/api/models", id.Repo, "revision")+"/"+url.PathEscape(id.Revision), "")
	if err != nil {
		return l, err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(io.LimitReader(r.Body, maxListing+1))
	if err != nil {
		return l, err
	}
	if json.Unmarshal(text, &l) != nil || !commitForm.MatchString(l.SHA) || len(l.Files) > maxFiles || len(text) > maxListing {
		return l, fmt.Errorf("%w: its list of files is not one", ErrCorrupt)
	}
	return l, nil
}

// get asks for a URL, from a byte on where given; what is not 2xx is an error in words.
func (s Source) get(ctx context.Context, at, from string) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	if s.Token != "" {
		q.Header.Set("Authorization", "Bearer "+s.Token)
	}
	if from != "" {
		q.Header.Set("Range", from)
	}
	q.Header.Set("Accept-Encoding", "identity")
	c := *s.Client
	c.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if next.URL.Host != q.URL.Host {
			next.Header.Del("Authorization")
		}
		if len(via) >= 10 {
			return fmt.Errorf("%w: it leads on and on", ErrRefused)
		}
		return nil
	}
	r, err := c.Do(q)
	if err != nil {
		return nil, err
	}
	if r.StatusCode/100 == 2 || r.StatusCode == http.StatusRequestedRangeNotSatisfiable && from != "" {
		return r, nil
	}
	r.Body.Close()
	switch r.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("%w: %s (a gated or private model: accept its terms on its page, and give a token in HF_TOKEN)", ErrRefused, r.Status)
	case http.StatusNotFound:
		return nil, fmt.Errorf("%w: %s (is the name, and the revision, right?)", ErrRefused, r.Status)
	}
	return nil, fmt.Errorf("%w: %s", ErrRefused, r.Status)
}

// writeRef says which commit a branch or tag is.
func writeRef(at, commit string) error {
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	part, err := os.CreateTemp(filepath.Dir(at), ".ref-*")
	if err != nil {
		return err
	}
	_, err = part.WriteString(commit)
	if err = errors.Join(err, part.Close()); err == nil {
		err = os.Rename(part.Name(), at)
	}
	if err != nil {
		_ = os.Remove(part.Name()) // the first error is the one to tell
	}
	return err
}
