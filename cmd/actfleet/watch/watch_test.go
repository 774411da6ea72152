package watch

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"

	"actfleet/coordinator"
)

var update = flag.Bool("update", false, "write the golden files")

var noon = time.Date(2031, 2, 3, 12, 0, 0, 0, time.UTC)

func plain() *lipgloss.Renderer { return painter(termenv.Ascii) }

func painter(p termenv.Profile) *lipgloss.Renderer {
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(p)
	return r
}

// night is a fleet of four in the middle of a run: one node works, one waits, one is paused, one is dead.
func night(units int) Frame {
	s := coordinator.NewState("plan", units)
	var done []int
	for u := range units / 2 {
		done = append(done, u)
	}
	at := func(ago time.Duration) time.Time { return noon.Add(-ago) }
	s.Apply(coordinator.Delta{Done: done, Nodes: []coordinator.NodeState{
		{Node: "gpu1-100-aaaa", Done: units / 4, Speed: 0.5, Beat: at(200 * time.Millisecond),
			Claims: []coordinator.Claim{{Unit: units / 2, Attempt: 1}, {Unit: units/2 + 1, Attempt: 1}}},
		{Node: "gpu2-200-bbbb", Done: units / 8, Speed: 0.25, Beat: at(3 * time.Second), Waiting: true},
		{Node: "gpu3-300-cccc", Done: units / 8, Speed: 0.25, Beat: at(40 * time.Second), Paused: true,
			Claims: []coordinator.Claim{{Unit: units/2 + 1, Attempt: 2}}},
		{Node: "gpu0-400-dddd", Beat: at(5 * time.Minute), Claims: []coordinator.Claim{{Unit: units/2 + 3, Attempt: 1}}},
	}})
	members := []coordinator.Member{{Node: "gpu1-100-aaaa"}, {Node: "gpu2-200-bbbb"}, {Node: "gpu3-300-cccc"}}
	return FromState("s3://fleet/night", s, members, noon)
}

func listing(units, done int) Frame {
	l := Listing{Name: "/shared/night", Now: func() time.Time { return noon }, List: func(context.Context) ([]bool, error) {
		all := make([]bool, units)
		for u := range done {
			all[u*7%units] = true
		}
		return all, nil
	}}
	f, _ := l.Frame(context.Background())
	return f
}

func sized(f Frame, r *lipgloss.Renderer, width, height int) model {
	m, _ := newModel(f, r, nil).Update(tea.WindowSizeMsg{Width: width, Height: height})
	return m.(model)
}

func TestView(t *testing.T) {
	failed, _ := sized(night(48), plain(), 80, 24).Update(polled{err: errors.New("list the run: connection refused\nand more")})
	many := night(48)
	for range 40 {
		many.Nodes = append(many.Nodes, many.Nodes[0])
	}
	for name, m := range map[string]tea.Model{
		"fleet":   sized(night(48), plain(), 80, 24),
		"colours": sized(night(48), painter(termenv.ANSI), 80, 24),
		"narrow":  sized(night(48), plain(), 40, 24),
		"low":     sized(many, plain(), 100, 16),
		"many":    sized(night(100_000), plain(), 80, 24),
		"listing": sized(listing(17, 5), plain(), 80, 24),
		"fault":   failed,
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, m.View()) })
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got+"\n" != string(want) {
		t.Errorf("the screen is not that of %s:\n%s", path, got)
	}
}

// No line is wider than the terminal, nor the screen higher, whatever the size.
func TestViewFits(t *testing.T) {
	for _, width := range []int{22, 40, 79, 80, 81, 200} {
		for _, height := range []int{14, 24, 60} {
			for _, units := range []int{8, 48, 481, 100_000} {
				view := sized(night(units), plain(), width, height).View()
				lines := strings.Split(view, "\n")
				if len(lines) > height {
					t.Errorf("%d×%d, %d units: %d lines", width, height, units, len(lines))
				}
				for _, line := range lines[:len(lines)-1] {
					if w := lipgloss.Width(line); w > width {
						t.Errorf("%d×%d, %d units: a line of %d: %q", width, height, units, w, line)
					}
				}
			}
		}
	}
}

func TestUpdate(t *testing.T) {
	asked := func() tea.Msg { return "asked" }
	m := newModel(night(48), plain(), asked)
	quits := func(cmd tea.Cmd) bool {
		if cmd == nil {
			return false
		}
		_, ok := cmd().(tea.QuitMsg)
		return ok
	}
	for _, c := range []struct {
		what string
		msg  tea.Msg
		quit bool
	}{
		{"q", tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("q")}, true},
		{"ctrl+c", tea.KeyMsg{Type: tea.KeyCtrlC}, true},
		{"escape", tea.KeyMsg{Type: tea.KeyEsc}, true},
		{"another key", tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("x")}, false},
		{"complete", polled{frame: listing(5, 5)}, true},
		{"over", polled{err: ErrOver}, true},
	} {
		if _, cmd := m.Update(c.msg); quits(cmd) != c.quit {
			t.Errorf("%s: quits %v", c.what, !c.quit)
		}
	}
	if _, cmd := m.Update(again{}); cmd() != "asked" {
		t.Error("the source was not asked")
	}
	next, _ := m.Update(polled{frame: listing(48, 30)})
	next, _ = next.Update(polled{err: errors.New("away")})
	if got := next.(model); got.frame.Done != 30 || got.fault == nil {
		t.Errorf("after a fault: %d done, fault %v", got.frame.Done, got.fault)
	}
}

func TestMarks(t *testing.T) {
	f := night(48)
	if f.Units[24] != Claimed || f.Units[25] != Spare || f.Units[27] != Open || f.Units[0] != Done {
		t.Errorf("marks %v", f.Units)
	}
	for _, c := range []struct {
		units []Mark
		want  Mark
	}{
		{[]Mark{Open, Open}, Open}, {[]Mark{Done, Open}, Part}, {[]Mark{Done, Done}, Done},
		{[]Mark{Done, Claimed, Open}, Claimed}, {[]Mark{Claimed, Spare}, Spare},
	} {
		if got := join(c.units); got != c.want {
			t.Errorf("%v together are %v, want %v", c.units, got, c.want)
		}
	}
}

// A listing's rate is that of the last minute.
func TestListingRate(t *testing.T) {
	done, now := 0, noon
	l := Listing{Now: func() time.Time { return now }, List: func(context.Context) ([]bool, error) {
		all := make([]bool, 1000)
		for u := range done {
			all[u] = true
		}
		return all, nil
	}}
	var f Frame
	for range 300 {
		f, _ = l.Frame(t.Context())
		now, done = now.Add(time.Second), min(done+2, 400)
	}
	if f.Throughput != 0 || f.ETA != -1 || len(l.seen) > 62 {
		t.Errorf("a run that stands still: %v units/s, ETA %v, %d samples", f.Throughput, f.ETA, len(l.seen))
	}
	done += 60
	if f, _ = l.Frame(t.Context()); f.Throughput < 0.9 || f.Throughput > 1.1 {
		t.Errorf("%v units/s, want one", f.Throughput)
	}
}

func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		frames := []polled{{frame: listing(10, 1)}, {frame: listing(10, 1)}, {err: errors.New("away")}, {err: errors.New("away")}, {frame: listing(10, 10)}}
		next := func(context.Context) (Frame, error) {
			p := frames[0]
			frames = frames[1:]
			return p.frame, p.err
		}
		if err := Lines(t.Context(), &out, next); err != nil {
			t.Fatal(err)
		}
		want := "1 of 10 units committed\nno news: away\n10 of 10 units committed\n"
		if out.String() != want {
			t.Errorf("got\n%s", out.String())
		}
		frames = []polled{{frame: listing(10, 1)}, {err: ErrOver}}
		if err := Lines(t.Context(), &out, next); !errors.Is(err, ErrOver) {
			t.Errorf("over: %v", err)
		}
	})
}
