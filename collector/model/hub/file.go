package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// file brings one file into the blobs, unless it is there, and returns its name among them.
func (s Source) file(ctx context.Context, folder string, id ID, commit, name string) (string, error) {
	b, err := s.blob(ctx, id, commit, name)
	if err != nil {
		return "", err
	}
	at := filepath.Join(folder, "blobs", b.hash)
	if stat, err := os.Stat(at); err == nil && stat.Size() == b.size {
		return b.hash, nil
	}
	if s.Progress != nil {
		s.Progress(name, b.size)
	}
	return b.hash, s.fill(ctx, at, b)
}

// blob is a file as the hub announces it.
type blob struct {
	url  string
	hash string // SHA-256 of the content for a large file, git's hash for others
	size int64
}

var hashForm = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// blob asks for the hash and the size of a file: the hub tells them in the answer that leads on to where the data are.
func (s Source) blob(ctx context.Context, id ID, commit, name string) (b blob, err error) {
	b.url = s.Endpoint + "/" + id.Repo + "/resolve/" + commit + "/" + url.PathEscape(name)
	q, err := http.NewRequestWithContext(ctx, http.MethodHead, b.url, nil)
	if err != nil {
		return b, err
	}
	if s.Token != "" {
		q.Header.Set("Authorization", "Bearer "+s.Token)
	}
	q.Header.Set("Accept-Encoding", "identity")
	c := *s.Client
	c.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if next.URL.Host == q.URL.Host && len(via) < 10 { // a model that was renamed
			return nil
		}
		return http.ErrUseLastResponse
	}
	r, err := c.Do(q)
	if err != nil {
		return b, err
	}
	r.Body.Close()
	if r.StatusCode/100 > 3 {
		return b, fmt.Errorf("%w: %s", ErrRefused, r.Status)
	}
	first := func(keys ...string) string {
		for _, key := range keys {
			if v := r.Header.Get(key); v != "" {
				return v
			}
		}
		return ""
	}
	b.hash = strings.Trim(strings.TrimPrefix(first("X-Linked-Etag", "Etag"), "W/"), `"`)
	b.size, err = strconv.ParseInt(first("X-Linked-Size", "Content-Length"), 10, 64)
	if err != nil || b.size < 0 || !hashForm.MatchString(b.hash) {
		return b, fmt.Errorf("%w: a file without size or hash", ErrCorrupt)
	}
	return b, nil
}

// fill writes a blob, going on where an earlier attempt stopped; it gets its name when it is whole and as announced.
func (s Source) fill(ctx context.Context, at string, b blob) error {
	part, err := os.OpenFile(at+".incomplete", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer part.Close() // the success path has closed it
	have, err := part.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if have > b.size {
		have = 0
	}
	if have < b.size {
		if err := s.append(ctx, part, b, have); err != nil {
			return err
		}
	}
	if err := b.check(part); err != nil {
		return errors.Join(err, os.Remove(part.Name()))
	}
	if err := errors.Join(part.Sync(), part.Close()); err != nil {
		return err
	}
	return os.Rename(part.Name(), at)
}

// append fetches what is missing behind the bytes that are there.
func (s Source) append(ctx context.Context, part *os.File, b blob, have int64) error {
	from := ""
	if have > 0 {
		from = fmt.Sprintf("bytes=%d-", have)
	}
	r, err := s.get(ctx, b.url, from)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusPartialContent {
		have = 0 // all of it comes
	}
	if err := part.Truncate(have); err != nil {
		return err
	}
	if _, err := part.Seek(have, io.SeekStart); err != nil {
		return err
	}
	_, err = io.Copy(part, io.LimitReader(r.Body, b.size-have+1))
	return err
}

// check compares a whole file with what was announced.
func (b blob) check(f *os.File) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	sum := sha256.New()
	if len(b.hash) == sha1.Size*2 { // git's
		sum = sha1.New()
		fmt.Fprintf(sum, "blob %d\x00", b.size)
	}
	n, err := io.Copy(sum, f)
	switch {
	case err != nil:
		return err
	case n != b.size:
		return fmt.Errorf("%w: %d bytes of %d came", ErrCorrupt, n, b.size)
	case hex.EncodeToString(sum.Sum(nil)) != b.hash:
		return fmt.Errorf("%w: it has another hash", ErrCorrupt)
	}
	return nil
}
