package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"actfleet/analysis/report"
	"actfleet/shard/store"
	"actfleet/shard/store/s3"
	"actfleet/shard/store/s3/s3test"
)

// bucketRun starts a server and names a run in it.
func bucketRun(t *testing.T) (*s3test.Server, string) {
	t.Helper()
	return s3test.Start(t, "fleet"), "s3://fleet/night/run"
}

func openBucket(t *testing.T, run string) *s3.Store {
	t.Helper()
	cfg := s3.FromEnv()
	cfg.ReadOnly = true
	st, err := s3.Open(t.Context(), run, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	return st
}

// untilInBucket waits until a run has n units.
func untilInBucket(t *testing.T, st store.Store, n int, nodes ...*process) {
	t.Helper()
	until(t, fmt.Sprintf("%s has %d units", st, n), func() bool {
		infos, err := st.List(t.Context(), "acts/")
		if err != nil {
			t.Fatal(err)
		}
		return len(infos) >= n
	}, nodes...)
}

// seed waits until a node says where it listens.
func (p *process) seed(t *testing.T) string {
	t.Helper()
	until(t, "the node starts", func() bool { return listening.MatchString(p.err.String()) }, p)
	return listening.FindStringSubmatch(p.err.String())[1]
}

func bucketSums(t *testing.T, st store.Store) map[string][32]byte {
	t.Helper()
	infos, err := st.List(t.Context(), "acts/")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][32]byte{}
	for _, info := range infos {
		data, err := store.Get(t.Context(), st, info.Key, info.Size)
		if err != nil {
			t.Fatal(err)
		}
		all[path.Base(info.Key)] = sha256.Sum256(data)
	}
	return all
}

// Two nodes on a bucket, the first killed with -9, then the server killed and started again: the other node finishes,
// check is content, and every shard has the bytes that one node makes in a directory.
func TestS3Fleet(t *testing.T) {
	server, run := bucketRun(t)
	a := startNode(t, run, "--bind", "127.0.0.1:0")
	b := startNode(t, run, "--join", a.seed(t))
	b.seed(t)
	st := openBucket(t, run)
	untilInBucket(t, st, 3, a, b)
	if err := a.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	a.wait(t)
	untilInBucket(t, st, 6, b)
	server.Kill()
	time.Sleep(time.Second)
	server.Launch(t)
	if code := b.wait(t); code != exitDone {
		t.Fatalf("the second node ended with %d: %s", code, b.err.String())
	}
	wantOK(t, "check", run)
	if logs, err := st.List(t.Context(), "log/"); err != nil || len(logs) == 0 {
		t.Errorf("%d pieces of logs, %v; want those of the node that lived", len(logs), err)
	}

	alone := filepath.Join(t.TempDir(), "alone")
	if code := startNode(t, alone).wait(t); code != exitDone {
		t.Fatalf("the single node ended with %d", code)
	}
	want, got := sums(t, alone), bucketSums(t, st)
	if len(got) != len(want) {
		t.Errorf("%d files, one node makes %d", len(got), len(want))
	}
	for name, sum := range want {
		if got[name] != sum {
			t.Errorf("%s differs from what one node makes", name)
		}
	}
}

// What reads a run reads it in a bucket, and encode writes there.
func TestS3Commands(t *testing.T) {
	_, run := bucketRun(t)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	collect := []string{"collect", "--model", tinyModel, "--data", tinyData, "--limit", "300", "--tokens", "all", "--sites", "resid", "--layers", "3", "--threads", "1"}
	wantOK(t, append(collect, "--out", run)...)
	wantOK(t, append(collect, "--out", in("run"))...)

	if out := wantOK(t, "status", run); !strings.Contains(out, "units committed") {
		t.Errorf("status says %q", out)
	}
	for _, format := range []string{"arrow", "csv"} {
		if got, want := wantOK(t, "cat", run, "--format", format), wantOK(t, "cat", in("run"), "--format", format); got != want {
			t.Errorf("%s: %d bytes from the bucket, %d from the directory, or others", format, len(got), len(want))
		}
	}
	train := []string{"train", "tokenizer", "--site", "resid", "--layers", "3", "--threads", "1", "--set", "steps=10", "--set", "codes=64", "--set", "batch=512"}
	wantOK(t, append(train, "--from", run, "--out", in("vq"))...)
	wantOK(t, append(train, "--from", in("run"), "--out", in("vq-local"))...)
	if weights(t, dir, "vq") != weights(t, dir, "vq-local") {
		t.Error("a coder trained from the bucket has other weights")
	}
	wantOK(t, "eval", in("vq"), "--from", run)
	wantOK(t, "encode", in("vq"), "--from", run)
	if codes, err := openBucket(t, run).List(t.Context(), "codes/"); err != nil || len(codes) == 0 {
		t.Errorf("encode left %v, %v", codes, err)
	}
	wantOK(t, "report", run, "--coders", in("vq"), "--out", in("report.html"))
	if html, err := os.ReadFile(in("report.html")); err != nil || !bytes.Contains(html, []byte("</html>")) {
		t.Errorf("the page: %v", err)
	}
	wantOK(t, "check", run)
	const question = "select label, count(*) as n, max(l2(resid_3)) as norm, max(token) as token from acts where pos > 0 group by label order by label"
	if got, want := wantOK(t, "sql", run, question, "--csv"), wantOK(t, "sql", in("run"), question, "--csv"); got != want {
		t.Errorf("sql of the bucket says %q, of the directory %q", got, want)
	}
	wantRefusal(t, exitError, []string{"where unit = 0", "raise the bound"}, "sql", run, "select * from acts", "--fetch", "1kB")
	wantRefusal(t, exitUsage, []string{"--fetch", "8GB"}, "sql", run, "select 1", "--fetch", "much")
	wantRefusal(t, exitError, []string{"no run at s3://fleet/other"}, "check", "s3://fleet/other")
	wantRefusal(t, exitError, []string{"NoSuchBucket"}, append(collect, "--out", "s3://nowhere/run")...)
	wantRefusal(t, exitError, []string{"sites"}, "collect", "--model", tinyModel, "--data", tinyData, "--limit", "300", "--sites", "fc2", "--out", run)
}

// A machine that trains with its checkpoints in a bucket is lost, and another goes on from them with an empty folder.
func TestS3Checkpoints(t *testing.T) {
	_, bucket := bucketRun(t)
	run, dir := oneSite(t), t.TempDir()
	wantOK(t, training(run, filepath.Join(dir, "whole"))...)
	place := []string{"--checkpoints", bucket + "/sae"}
	st := openBucket(t, bucket+"/sae")
	for machine, after := range []string{"step-00000012", "step-00000060"} {
		p := start(t, training(run, filepath.Join(dir, "machine"+fmt.Sprint(machine)), place...)...)
		until(t, after+" in the bucket", func() bool {
			infos, err := st.List(t.Context(), "step-")
			return err == nil && len(infos) > 0 && infos[len(infos)-1].Key > after
		}, p)
		p.stop(t)
	}
	wantOK(t, training(run, filepath.Join(dir, "last"), place...)...)
	if weights(t, dir, "last") != weights(t, dir, "whole") {
		t.Error("the weights differ")
	}
	if got, want := fmt.Sprint(reported(t, filepath.Join(dir, "last"))), fmt.Sprint(reported(t, filepath.Join(dir, "whole"))); got != want {
		t.Errorf("the metrics name the steps %s, want %s", got, want)
	}
	infos, err := st.List(t.Context(), "")
	if err != nil || len(infos) != 6 || infos[5].Key != "step-00000120.safetensors" {
		t.Errorf("in the bucket are %v, %v", infos, err)
	}
	wantRefusal(t, exitError, []string{bucket + "/sae", "--fork", "k: 9 here, 8"}, training(run, filepath.Join(dir, "other"), append(place, "--set", "k=9")...)...)
}

func TestAddressesOfRuns(t *testing.T) {
	wantRefusal(t, exitUsage, []string{"s3://bucket/prefix"}, "check", "gs://bucket/run")
	wantRefusal(t, exitError, []string{"s3://bucket/prefix"}, "check", "s3://")
}

// A node killed with -9 in a bucket leaves the log of its first seconds, which the report shows.
func TestS3LogOfAKilledNode(t *testing.T) {
	_, run := bucketRun(t)
	a := start(t, "collect", "--model", tinyModel, "--data", manyPrompts(t, 20000), "--tokens", "all", "--threads", "1", "--out", run)
	st := openBucket(t, run)
	until(t, "a piece of the log is there", func() bool {
		infos, err := st.List(t.Context(), "log/")
		return err != nil || len(infos) > 0
	}, a)
	a.stop(t)
	seen, err := report.LoadTimeline(t.Context(), st)
	if err != nil || len(seen.Nodes) != 1 {
		t.Fatalf("%d nodes: %v", len(seen.Nodes), err)
	}
	if n := seen.Nodes[0]; n.Left || n.PID != a.Process.Pid || len(n.Spans) == 0 || seen.Skipped > 0 {
		t.Errorf("the log says %+v", n)
	}
}
