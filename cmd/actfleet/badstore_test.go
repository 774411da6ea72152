package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/shard/store/s3/s3test"
)

// odd has whatever a shell, a URL, a pattern or SQL may take for its own.
const odd = `-a b%25#?ü日'"[1]*;$(x)&+~`

// oddRun collects into a run of an odd name and asks about it.
func oddRun(t *testing.T, run string) {
	t.Helper()
	wantOK(t, "collect", "--model", tinyModel, "--data", tinyData, "--limit", "40", "--sites", "fc2", "--layers", "0", "--out", run)
	wantOK(t, "check", run)
	if said := wantOK(t, "status", run); !strings.Contains(said, "1 of 1 units") {
		t.Errorf("status says %s", said)
	}
	if said := wantOK(t, "sql", run, "select count(*) as n, count(fc2_0) as m from acts", "--csv"); said != "n,m\n40,40\n" {
		t.Errorf("sql says %q", said)
	}
}

func TestOddPath(t *testing.T) { oddRun(t, filepath.Join(t.TempDir(), odd)) }

func TestOddS3Prefix(t *testing.T) {
	s3test.Start(t, "fleet")
	oddRun(t, "s3://fleet/"+odd+"/run")
}

// twoPlans starts two collections of one run at the same moment: one wins, the other says so.
func twoPlans(t *testing.T, run string) {
	t.Helper()
	collect := func(site string) *process {
		return start(t, "collect", "--model", tinyModel, "--data", tinyData, "--limit", "200", "--sites", site, "--threads", "1", "--out", run)
	}
	a, b := collect("fc1"), collect("fc2")
	codes := []int{a.wait(t), b.wait(t)}
	loser := b
	if codes[0] != exitDone {
		loser = a
	}
	if codes[0]+codes[1] != exitDone+exitError || !strings.Contains(loser.err.String(), "holds another plan") || !strings.Contains(loser.err.String(), "sites") {
		t.Errorf("they ended with %v:\n%s\n%s", codes, a.err.String(), b.err.String())
	}
	wantOK(t, "check", run)
}

func TestTwoPlansAtOnce(t *testing.T) { twoPlans(t, filepath.Join(t.TempDir(), "run")) }

func TestS3TwoPlansAtOnce(t *testing.T) {
	s3test.Start(t, "fleet")
	twoPlans(t, "s3://fleet/run")
}

// Servers that cannot be used are refused before anything is computed, with what to do.
func TestUnusableServers(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "testtest")
	tests := []struct {
		name, says string
		answer     http.HandlerFunc
	}{
		{"no conditions", "ignores If-None-Match", func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPut {
				s3test.Refuse(w, http.StatusNotFound, "NoSuchKey")
				return
			}
			w.Header().Set("ETag", `"x"`)
		}},
		{"another clock", "set the clock", func(w http.ResponseWriter, _ *http.Request) {
			s3test.Refuse(w, http.StatusForbidden, "RequestTimeTooSkewed")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.answer)
			defer server.Close()
			t.Setenv("ACTFLEET_S3_ENDPOINT", server.URL)
			wantRefusal(t, exitError, []string{tt.says, "s3://fleet/run"}, "collect", "--model", tinyModel, "--data", tinyData, "--limit", "4", "--out", "s3://fleet/run")
		})
	}
}

// A wrong key is refused at once; a bucket that vanishes in the middle ends the node with one line.
func TestS3WrongKeyAndVanishingBucket(t *testing.T) {
	server, run := bucketRun(t)
	a := start(t, "collect", "--model", tinyModel, "--data", manyPrompts(t, 20000), "--tokens", "all", "--threads", "1", "--out", run)
	untilInBucket(t, openBucket(t, run), 2, a)
	if err := server.DropBucket("fleet"); err != nil {
		t.Fatal(err)
	}
	if code := a.wait(t); code != exitError || strings.Count(a.err.String(), "actfleet: ") != 1 || !strings.Contains(a.err.String(), "the bucket does not exist there") {
		t.Errorf("ended with %d: %s", code, a.err.String())
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	wantRefusal(t, exitError, []string{"AWS_SECRET_ACCESS_KEY"}, "status", run)
}
