package hub_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"actfleet/collector/model/hub"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// fakeHub speaks as much of the hub's protocol as Fetch needs: large files are redirected to another host.
type fakeHub struct {
	t     *testing.T
	files map[string][]byte
	large map[string]bool
	token string // "" for nobody
	cut   int    // send so many bytes of a large file and hang up
	bend  bool   // send other bytes than were announced

	mu     sync.Mutex
	ranges []string // asked for
	cdn    *httptest.Server
}

func (h *fakeHub) start() hub.Source {
	h.cdn = httptest.NewServer(http.HandlerFunc(h.data))
	h.t.Cleanup(h.cdn.Close)
	s := httptest.NewServer(http.HandlerFunc(h.serve))
	h.t.Cleanup(s.Close)
	return hub.Source{Endpoint: s.URL, Token: h.token, Client: s.Client()}
}

func (h *fakeHub) serve(w http.ResponseWriter, r *http.Request) {
	if h.token != "" && r.Header.Get("Authorization") != "Bearer "+h.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/api/models/acme/tiny/revision/") {
		var list struct {
			SHA   string              `json:"sha"`
			Files []map[string]string `json:"siblings"`
		}
		list.SHA = commit
		for name := range h.files {
			list.Files = append(list.Files, map[string]string{"rfilename": name})
		}
		_ = json.NewEncoder(w).Encode(list)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/acme/tiny/resolve/"+commit+"/")
	data, there := h.files[name]
	if !ok || !there {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if h.large[name] {
		sum := sha256.Sum256(data)
		w.Header().Set("X-Linked-Etag", `"`+hex.EncodeToString(sum[:])+`"`)
		w.Header().Set("X-Linked-Size", fmt.Sprint(len(data)))
		http.Redirect(w, r, h.cdn.URL+"/"+name, http.StatusFound)
		return
	}
	w.Header().Set("Etag", `"`+gitHash(data)+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func gitHash(data []byte) string {
	sum := sha1.New()
	fmt.Fprintf(sum, "blob %d\x00", len(data))
	sum.Write(data)
	return hex.EncodeToString(sum.Sum(nil))
}

// data is the other host, which must not see the token.
func (h *fakeHub) data(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		h.t.Error("the token went to another host")
	}
	data := h.files[strings.TrimPrefix(r.URL.Path, "/")]
	h.mu.Lock()
	h.ranges = append(h.ranges, r.Header.Get("Range"))
	cut := h.cut
	h.mu.Unlock()
	switch {
	case cut > 0 && r.Method == http.MethodGet:
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		_, _ = w.Write(data[:cut])
		panic(http.ErrAbortHandler)
	case h.bend:
		data = bytes.Repeat([]byte{'x'}, len(data))
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func tiny(t *testing.T) *fakeHub {
	return &fakeHub{t: t, large: map[string]bool{"model.safetensors": true},
		files: map[string][]byte{"config.json": []byte(`{"a": 1}`), "model.safetensors": bytes.Repeat([]byte("weights "), 5000), "README.md": []byte("no"),
			"pytorch_model.bin": []byte("no"), "../../evil.json": []byte("no"), "sub/config.json": []byte("no")}}
}

func id(t *testing.T, text string) hub.ID {
	t.Helper()
	got, ok := hub.ParseID(text)
	if !ok {
		t.Fatalf("%s is no id", text)
	}
	return got
}

func TestAModelIsFetchedOnceAndFoundAfterwards(t *testing.T) {
	h, cache := tiny(t), t.TempDir()
	h.token = "secret"
	s := h.start()
	var told []string
	s.Progress = func(file string, size int64) { told = append(told, fmt.Sprint(file, size)) }
	at, err := s.Fetch(t.Context(), cache, id(t, "acme/tiny"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range h.files {
		got, err := os.ReadFile(filepath.Join(at, name))
		if known := name == "config.json" || name == "model.safetensors"; known != (err == nil && bytes.Equal(got, data)) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	for _, name := range []string{"acme/tiny", "acme/tiny@" + commit} {
		if found, err := hub.Find(cache, id(t, name)); err != nil || found != at || hub.Name(found) != "tiny" {
			t.Errorf("%s: %s, %v", name, found, err)
		}
	}
	if _, err := hub.Find(cache, id(t, "acme/tiny@v2")); !errors.Is(err, hub.ErrAbsent) {
		t.Errorf("another revision: %v", err)
	}
	if len(told) != 2 {
		t.Errorf("told of %q", told)
	}
	if again, err := s.Fetch(t.Context(), cache, id(t, "acme/tiny@dev")); err != nil || again != at || len(told) != 2 {
		t.Errorf("again: %s, %v, %q", again, err, told)
	}
	if found, err := hub.Find(cache, id(t, "acme/tiny@dev")); err != nil || found != at {
		t.Errorf("a branch: %s, %v", found, err)
	}
}

func TestAnInterruptedFetchGoesOn(t *testing.T) {
	h, cache := tiny(t), t.TempDir()
	h.cut = 12345
	s := h.start()
	if _, err := s.Fetch(t.Context(), cache, id(t, "acme/tiny")); err == nil {
		t.Fatal("a connection that ended early was taken for a file")
	}
	if _, err := hub.Find(cache, id(t, "acme/tiny")); !errors.Is(err, hub.ErrAbsent) {
		t.Errorf("half a model was found: %v", err)
	}
	h.mu.Lock()
	h.cut, h.ranges = 0, nil
	h.mu.Unlock()
	at, err := s.Fetch(t.Context(), cache, id(t, "acme/tiny"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(at, "model.safetensors")); err != nil || !bytes.Equal(got, h.files["model.safetensors"]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if len(h.ranges) != 1 || h.ranges[0] != "bytes=12345-" {
		t.Errorf("asked for %q", h.ranges)
	}
}

func TestOtherBytesThanAnnouncedAreNotKept(t *testing.T) {
	h, cache := tiny(t), t.TempDir()
	h.bend = true
	if _, err := h.start().Fetch(t.Context(), cache, id(t, "acme/tiny")); !errors.Is(err, hub.ErrCorrupt) || !strings.Contains(err.Error(), "model.safetensors") {
		t.Errorf("error %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(cache, "*", "blobs", "*"))
	for _, path := range left {
		if strings.HasSuffix(path, ".incomplete") {
			t.Errorf("%s is left", path)
		}
	}
}

func TestWhatTheHubRefusesIsSaidInWords(t *testing.T) {
	h := tiny(t)
	h.token = "secret"
	s := h.start()
	s.Token = "wrong"
	if _, err := s.Fetch(t.Context(), t.TempDir(), id(t, "acme/tiny")); !errors.Is(err, hub.ErrRefused) || !strings.Contains(err.Error(), "HF_TOKEN") {
		t.Errorf("a wrong token: %v", err)
	}
	s.Token = "secret"
	if _, err := s.Fetch(t.Context(), t.TempDir(), id(t, "acme/other")); !errors.Is(err, hub.ErrRefused) || !strings.Contains(err.Error(), "name") {
		t.Errorf("no such model: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Fetch(ctx, t.TempDir(), id(t, "acme/tiny")); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"sha": "../..", "siblings": []}`))
	}))
	t.Cleanup(bad.Close)
	if _, err := (hub.Source{Endpoint: bad.URL, Client: bad.Client()}).Fetch(t.Context(), t.TempDir(), id(t, "acme/tiny")); !errors.Is(err, hub.ErrCorrupt) {
		t.Errorf("a commit that is none: %v", err)
	}
}

func TestNamesOfModels(t *testing.T) {
	for text, want := range map[string]string{"acme/tiny": "acme/tiny", "gpt2": "gpt2", "acme/tiny@v1.0": "acme/tiny@v1.0", "a/b@refs/pr/3": "a/b@refs/pr/3", "acme/tiny@main": "acme/tiny",
		"": "", "/abs": "", "./rel": "", "a/b/c": "", "../x": "", "a/..": "", "a/b@../x": "", "a--b/c": "", "a b": "", "a/b@": ""} {
		if got, ok := hub.ParseID(text); ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: %v, %t", text, got, ok)
		}
	}
}

func TestTheEnvironmentSaysWhere(t *testing.T) {
	env := func(kv ...string) func(string) string {
		m := map[string]string{"HOME": "/h"}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return func(key string) string { return m[key] }
	}
	for want, e := range map[string]func(string) string{"/h/.cache/huggingface/hub": env(), "/x/huggingface/hub": env("XDG_CACHE_HOME", "/x"),
		"/f/hub": env("HF_HOME", "/f", "XDG_CACHE_HOME", "/x"), "/c": env("HF_HUB_CACHE", "/c", "HF_HOME", "/f"), "/o": env("HUGGINGFACE_HUB_CACHE", "/o")} {
		if got := hub.CacheDir(e); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if _, ok, err := hub.NewSource(env("HF_HUB_OFFLINE", "1")); ok || err != nil {
		t.Errorf("offline: %t, %v", ok, err)
	}
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "token"), []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, ok, err := hub.NewSource(env("HF_HOME", home, "HF_ENDPOINT", "http://mirror/", "HF_HUB_OFFLINE", "0"))
	if err != nil || !ok || s.Token != "from file" || s.Endpoint != "http://mirror" {
		t.Errorf("%+v, %t, %v", s, ok, err)
	}
	if s, _, _ := hub.NewSource(env("HF_HOME", home, "HF_TOKEN", "own")); s.Token != "own" {
		t.Errorf("token %q", s.Token)
	}
}
