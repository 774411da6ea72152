package s3_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"actfleet/shard/store"
	"actfleet/shard/store/retry"
	"actfleet/shard/store/s3"
	"actfleet/shard/store/s3/s3test"
	"actfleet/shard/store/storetest"
)

// refuse answers as S3 does.
var refuse = s3test.Refuse

// harm is every kind of fault, often.
var harm = s3test.Faults{RequestLost: 1, Conflict: 2, Busy: 2, Twice: 5, AnswerLost: 1, PutAnswerLost: 5, Cut: 1}

func newProxy(t *testing.T, target string) *s3test.Proxy {
	p := s3test.NewProxy(t, "127.0.0.1:0", target, harm)
	t.Setenv("ACTFLEET_S3_ENDPOINT", p.URL())
	return p
}

// The whole suite holds when requests and answers are lost, doubled, cut and refused.
func TestFaults(t *testing.T) {
	server := s3test.Start(t, bucket)
	p := newProxy(t, server.URL())
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	var n atomic.Int64
	storetest.Run(t, func(t *testing.T) store.Store {
		cfg := config()
		cfg.Connect = cfg.Retry
		return retry.Wrap(open(t, cfg, fmt.Sprint("run", n.Add(1))), cfg.Retry)
	})
	t.Log(p.Seen())
	if len(p.Seen()) < 6 {
		t.Errorf("only these faults happened: %v", p.Seen())
	}
}

// Nodes that compute one unit write the same bytes: still only one of them may have won.
func TestSameBytesOneWinner(t *testing.T) {
	server := s3test.Start(t, bucket)
	newProxy(t, server.URL())
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	cfg := config()
	cfg.Connect = cfg.Retry
	s := open(t, cfg, "run")
	for round := range 20 {
		var wins atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				err := store.Put(t.Context(), s, fmt.Sprint("acts/", round), []byte("the same"))
				if err == nil {
					wins.Add(1)
				} else if !errors.Is(err, store.ErrExists) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := wins.Load(); n != 1 {
			t.Errorf("round %d: %d winners", round, n)
		}
	}
}

// fake answers every request in one way.
func fake(t *testing.T, handler http.HandlerFunc) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	t.Setenv("ACTFLEET_S3_ENDPOINT", server.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "testtest")
}

func wantLine(t *testing.T, err error, says ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, word := range append(says, "fleet") {
		if !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q does not say %q in one line", err, word)
		}
	}
}

func TestNoCondition(t *testing.T) {
	fake(t, func(http.ResponseWriter, *http.Request) {})
	_, err := s3.Open(t.Context(), "s3://fleet/run", config())
	wantLine(t, err, "ignores If-None-Match", "overwrite")
}

func TestRefusals(t *testing.T) {
	for code, says := range map[string]string{
		"InvalidAccessKeyId": "AWS_ACCESS_KEY_ID", "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY", "AccessDenied": "may not",
		"ExpiredToken": "expired", "NoSuchBucket": "does not exist", "RequestTimeTooSkewed": "clock", "AuthorizationHeaderMalformed": "AWS_REGION",
	} {
		t.Run(code, func(t *testing.T) {
			requests := 0
			fake(t, func(w http.ResponseWriter, _ *http.Request) { requests++; refuse(w, http.StatusForbidden, code) })
			for _, readOnly := range []bool{false, true} {
				cfg := config()
				cfg.ReadOnly = readOnly
				_, err := s3.Open(t.Context(), "s3://fleet/run", cfg)
				wantLine(t, err, code, says)
			}
			if requests > 2 {
				t.Errorf("asked %d times what will not change", requests)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "testtest")
	for _, address := range []string{"", "s3://", "s3:/fleet/run", "s3://fl/run", "s3://Fleet/run", "s3://fleet//run", "s3://fleet/a/../b", "s3://fleet/.hidden", "http://fleet/run", "s3://fleet/a\nb"} {
		if s, err := s3.Open(t.Context(), address, config()); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, %v", address, s, err)
		}
	}
	for _, endpoint := range []string{"127.0.0.1:9000", "ftp://host", "http://host/path", "http://"} {
		t.Setenv("ACTFLEET_S3_ENDPOINT", endpoint)
		_, err := s3.Open(t.Context(), "s3://fleet/run", config())
		wantLine(t, err, "endpoint", "http://HOST:PORT")
	}
}

func TestNoCredentials(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY", "AWS_SECRET_KEY"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	_, err := s3.Open(t.Context(), "s3://fleet/run", config())
	wantLine(t, err, "no S3 credentials", "AWS_ACCESS_KEY_ID")
}

// What a real server says to a wrong key, a bucket that is not there, and one that vanishes.
func TestRealRefusals(t *testing.T) {
	server := s3test.Start(t, bucket)
	s := open(t, config(), "run")
	_, err := s3.Open(t.Context(), "s3://fleet-elsewhere/run", config())
	wantLine(t, err, "NoSuchBucket")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	_, err = s3.Open(t.Context(), "s3://fleet/run", config())
	wantLine(t, err, "secret key is wrong")
	if err := server.DropBucket(bucket); err != nil {
		t.Fatal(err)
	}
	wantLine(t, store.Put(t.Context(), s, "k", nil), "NoSuchBucket")
	server.Kill()
	_, err = s3.Open(t.Context(), "s3://fleet/run", config())
	wantLine(t, err, "refused")
}
