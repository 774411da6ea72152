package monitor

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"actfleet/coordinator"
	"actfleet/coordinator/gossip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// view is a fleet of three that stands still.
type view struct{ alone bool }

func (v view) Gossip() (gossip.Stats, bool) {
	return gossip.Stats{Dropped: 1, Rejected: 2, Refuted: 3, Returned: 4, Health: 5}, !v.alone
}

func (view) Progress() coordinator.Progress {
	node := func(id coordinator.NodeID, live bool, claims ...int) coordinator.NodeProgress {
		n := coordinator.NodeProgress{NodeState: coordinator.NodeState{Node: id}, Live: live, Self: id == "me"}
		for _, u := range claims {
			n.Claims = append(n.Claims, coordinator.Claim{Unit: u})
		}
		return n
	}
	return coordinator.Progress{Done: 10, Total: 20, Throughput: 2, ETA: 5 * time.Second,
		Nodes: []coordinator.NodeProgress{node("me", true, 11, 12), node("other", true, 12), node("dead", false, 13)}}
}

func following(t *testing.T) *Monitor {
	t.Helper()
	m := New("abc")
	m.Follow(view{})
	m.Commit(true, 100, 1<<20, 3*time.Second)
	m.Commit(false, 100, 1<<20, 3*time.Second)
	m.Drop()
	return m
}

func TestMetrics(t *testing.T) {
	m := following(t)
	err := testutil.GatherAndCompare(m.registry, strings.NewReader(`
# HELP actfleet_run_units Units of the run, by state: committed, claimed by a live node, or open.
# TYPE actfleet_run_units gauge
actfleet_run_units{state="claimed"} 2
actfleet_run_units{state="committed"} 10
actfleet_run_units{state="open"} 8
# HELP actfleet_run_eta_seconds Time left at the present speed; absent while no unit was measured.
# TYPE actfleet_run_eta_seconds gauge
actfleet_run_eta_seconds 5
# HELP actfleet_fleet_nodes Nodes this one has heard of, by state.
# TYPE actfleet_fleet_nodes gauge
actfleet_fleet_nodes{state="gone"} 1
actfleet_fleet_nodes{state="left"} 0
actfleet_fleet_nodes{state="paused"} 0
actfleet_fleet_nodes{state="waiting"} 0
actfleet_fleet_nodes{state="working"} 2
# HELP actfleet_node_units_in_hand Units this node works on.
# TYPE actfleet_node_units_in_hand gauge
actfleet_node_units_in_hand 2
# HELP actfleet_node_units_total Units this node ended, by result: committed first, lost to another node that was first, or dropped.
# TYPE actfleet_node_units_total counter
actfleet_node_units_total{result="committed"} 1
actfleet_node_units_total{result="dropped"} 1
actfleet_node_units_total{result="lost"} 1
# HELP actfleet_node_committed_bytes_total Size of the shards this node committed.
# TYPE actfleet_node_committed_bytes_total counter
actfleet_node_committed_bytes_total 1.048576e+06
# HELP actfleet_gossip_returned_members_total Members that came back after they had been declared dead.
# TYPE actfleet_gossip_returned_members_total counter
actfleet_gossip_returned_members_total 4
`), "actfleet_run_units", "actfleet_run_eta_seconds", "actfleet_fleet_nodes", "actfleet_node_units_in_hand",
		"actfleet_node_units_total", "actfleet_node_committed_bytes_total", "actfleet_gossip_returned_members_total")
	if err != nil {
		t.Error(err)
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	problems, err := testutil.GatherAndLint(following(t).registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestPaths(t *testing.T) {
	m := New("abc")
	s := httptest.NewServer(m.Handler())
	defer s.Close()
	defer http.DefaultClient.CloseIdleConnections()
	health := func(code int, says string) {
		t.Helper()
		if got, body := get(t, s.URL+"/healthz"); got != code || strings.TrimSpace(body) != says {
			t.Errorf("healthz: %d %q, want %d %q", got, body, code, says)
		}
	}
	health(200, "starting")
	if code, body := get(t, s.URL+"/metrics"); code != 200 || strings.Contains(body, "actfleet_run_units") {
		t.Errorf("before there is a fleet: %d\n%s", code, body)
	}
	m.Follow(view{alone: true})
	health(200, "working")
	if _, body := get(t, s.URL+"/metrics"); !strings.Contains(body, `actfleet_run_units{state="open"} 8`) || strings.Contains(body, "gossip") ||
		!strings.Contains(body, `actfleet_build_info{version="abc"} 1`) {
		t.Errorf("metrics of a fleet of one:\n%s", body)
	}
	m.Leave()
	health(503, "leaving")
	if code, body := get(t, s.URL+"/debug/pprof/goroutine?debug=1"); code != 200 || !strings.Contains(body, "goroutine profile") {
		t.Errorf("pprof: %d", code)
	}
}

func TestServe(t *testing.T) {
	s, err := Serve("127.0.0.1:0", New("abc"))
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	if code, _ := get(t, "http://"+s.Addr()+"/healthz"); code != 200 {
		t.Errorf("healthz: %d", code)
	}
	if _, err := Serve(s.Addr(), New("abc")); err == nil || !strings.Contains(err.Error(), s.Addr()) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a port in use: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for given, want := range map[string]string{"9090": "127.0.0.1:9090", ":9090": "127.0.0.1:9090", "0.0.0.0:1": "0.0.0.0:1", "[::1]:1": "[::1]:1"} {
		if got := address(given); got != want {
			t.Errorf("%s listens on %s", given, got)
		}
	}
	if _, err := Serve("localhost:http-alt-nonsense", New("abc")); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("a wrong port: %v", err)
	}
	if host, _, _ := net.SplitHostPort(s.Addr()); host != "127.0.0.1" {
		t.Errorf("listens on %s", host)
	}
}

var metricName = regexp.MustCompile(`\b(?:actfleet|go|process)_[a-z0-9_]+`)

// Every metric of the Grafana dashboard exists, with the labels it asks for.
func TestDashboard(t *testing.T) {
	data, err := os.ReadFile("../../../examples/grafana/actfleet.json")
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(data) {
		t.Fatal("not JSON")
	}
	families, err := following(t).registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	have, all := map[string]bool{}, ""
	for _, f := range families {
		have[f.GetName()] = true
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			have[f.GetName()+suffix] = f.GetType().String() == "HISTOGRAM"
		}
		all += f.String()
	}
	used := metricName.FindAllString(string(data), -1)
	if len(used) < 10 {
		t.Errorf("the dashboard uses %d metrics", len(used))
	}
	for _, name := range used {
		if !have[name] {
			t.Errorf("the dashboard asks for %s, which does not exist", name)
		}
	}
	for _, m := range regexp.MustCompile(`(state|result)=\\"([a-z]+)\\"`).FindAllStringSubmatch(string(data), -1) {
		if !strings.Contains(all, `"`+m[2]+`"`) {
			t.Errorf("the dashboard asks for %s=%s, which does not exist", m[1], m[2])
		}
	}
}
