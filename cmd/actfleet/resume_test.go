package main

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"actfleet/collector/dataset"
	"actfleet/internal/testnet"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/store/local"
	"actfleet/shard/store/s3/s3test"
)

// manyUnits is how many units the runs below have: ACTFLEET_UNITS=100000 for the numbers in docs/fleet.md.
func manyUnits(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("ACTFLEET_UNITS"), "2500"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// wideRun makes a run of one prompt a unit in a directory. All units but the last few, which are open, have a file of zeros: nobody
// opens what the listing shows.
func wideRun(t *testing.T, dir string, units, open int) {
	t.Helper()
	ctx := t.Context()
	data := write(t, "prompts.jsonl", strings.Repeat("{\"text\": \"Snow is white.\"}\n", units))
	j, err := newJob(ctx, collectOptions{model: tinyModel, data: dataOptions{paths: []string{data}}, out: dir, sites: "fc2", layers: "0", tokens: "last",
		dtype: "auto", target: targetOptions{device: "cpu", compute: "f32"}})
	if err != nil {
		t.Fatal(err)
	}
	plan := j.node.Plan
	plan.Units = make([]int64, units+1)
	for u := range plan.Units {
		plan.Units[u] = int64(u)
	}
	prompts, err := j.node.Input.Rows(0, units)
	if err != nil {
		t.Fatal(err)
	}
	var input bytes.Buffer
	if err := dataset.WriteInput(&input, prompts); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	st, err := local.New(dir)
	if err == nil {
		err = store.Put(ctx, st, plan.Data.Input, input.Bytes())
	}
	if err == nil {
		_, err = run.CreatePlan(ctx, st, plan)
	}
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, "acts"), 0o777)
	}
	for u := 0; u < units-open && err == nil; u++ {
		err = os.WriteFile(filepath.Join(dir, run.UnitKey(u)), make([]byte, 1<<11), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// resumed is how long a command of the run takes: status, and collect until it has its first unit.
func resumed(t *testing.T, run string) (status, collect time.Duration) {
	t.Helper()
	began := time.Now()
	if said := wantOK(t, "status", run); !strings.Contains(said, fmt.Sprintf("%d of %d units", manyUnits(t)-10, manyUnits(t))) {
		t.Errorf("status says %s", said)
	}
	status = time.Since(began)
	self := testnet.FreeAddr(t)
	began = time.Now()
	p := start(t, "collect", "--model", tinyModel, "--out", run, "--bind", self, "--join", self, "--log-level", "debug", "--threads", "1")
	until(t, "a unit is claimed", func() bool { return strings.Contains(p.err.String(), "unit claimed") }, p)
	collect = time.Since(began)
	p.stop(t)
	return status, collect
}

func TestResumeOnADisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	wideRun(t, dir, manyUnits(t), 10)
	status, collect := resumed(t, dir)
	t.Logf("%d units: status %s, collect to its first unit %s", manyUnits(t), status, collect)
}

// A thousand objects come in one LIST, and a node needs one listing to go on.
func TestResumeInS3Bucket(t *testing.T) {
	units := manyUnits(t)
	server := s3test.Start(t, "fleet")
	wideRun(t, server.Dir("fleet", "night"), units, 10)
	target, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	var lists, others atomic.Int64
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { // the host is signed
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("list-type") {
			lists.Add(1)
		} else {
			others.Add(1)
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	t.Setenv("ACTFLEET_S3_ENDPOINT", proxy.URL)

	began := time.Now()
	n := server.Count(t, "fleet", "night/acts/")
	bare := time.Since(began)
	status, collect := resumed(t, "s3://fleet/night")
	t.Logf("%d units: status %s, collect to its first unit %s, %d LISTs and %d other requests by both; minio-go alone lists %d objects in %s",
		units, status, collect, lists.Load(), others.Load(), n, bare)
	// status lists one object to see that the bucket is there.
	if most := int64(2*((units+999)/1000) + 1); lists.Load() > most {
		t.Errorf("%d LISTs, want at most %d", lists.Load(), most)
	}
}
