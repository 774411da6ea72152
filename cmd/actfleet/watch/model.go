package watch

import (
	"errors"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
)

// model is the screen: the last Frame and what became of the attempt to get another one.
type model struct {
	frame         Frame
	fault         error
	width, height int
	palette       palette
	poll          tea.Cmd
}

// polled brings the outcome of asking the Source.
type polled struct {
	frame Frame
	took  time.Duration
	err   error
}

// again says that it is time to ask.
type again struct{}

func newModel(first Frame, r *lipgloss.Renderer, poll tea.Cmd) model {
	return model{frame: first, width: 80, height: 24, palette: newPalette(r), poll: poll}
}

// Init waits for the next poll.
func (m model) Init() tea.Cmd { return wait(time.Second) }

// pause is how long to wait between two polls: listing many units in a bucket takes a while, and must not be all it does.
func pause(took time.Duration) time.Duration { return time.Second + 10*took }

func wait(d time.Duration) tea.Cmd {
	return tea.Tick(d, func(time.Time) tea.Msg { return again{} })
}

// Update takes a key, a size, or a poll's outcome.
func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyMsg:
		switch msg.String() {
		case "q", "esc", "ctrl+c":
			return m, tea.Quit
		}
	case again:
		return m, m.poll
	case polled:
		return m.take(msg)
	}
	return m, nil
}

func (m model) take(p polled) (tea.Model, tea.Cmd) {
	m.fault = p.err
	if p.err == nil {
		m.frame = p.frame
	}
	if m.frame.complete() || errors.Is(p.err, ErrOver) {
		return m, tea.Quit
	}
	return m, wait(pause(p.took))
}

// View draws the screen: name, strip, summary, nodes, and what the signs mean.
func (m model) View() string {
	width := max(20, m.width-2)
	lines := []string{m.title(width), ""}
	lines = append(lines, strip(m.frame.Units, width, m.palette)...)
	lines = append(lines, "", cut(m.frame.Summary(), width))
	tail := m.tail(width)
	if table := nodeTable(m.frame.Nodes, width, m.height-len(lines)-len(tail)-1); table != nil {
		table[0] = m.palette.faint.Render(table[0])
		lines = append(append(lines, ""), table...)
	}
	return " " + strings.Join(append(lines, tail...), "\n ")
}

func (m model) title(width int) string {
	clock := m.frame.At.Format(time.TimeOnly)
	name := cut("actfleet "+m.frame.Name, width-len(clock)-1)
	return m.palette.head.Render(name) + strings.Repeat(" ", max(1, width-lipgloss.Width(name)-len(clock))) + m.palette.faint.Render(clock)
}

func (m model) tail(width int) []string {
	lines := []string{""}
	if m.fault != nil {
		text, _, _ := strings.Cut(m.fault.Error(), "\n")
		lines = append(lines, m.palette.fault.Render(cut(text, width)))
	}
	var legend strings.Builder
	for _, s := range []struct {
		mark Mark
		name string
	}{{Done, "done"}, {Claimed, "claimed"}, {Spare, "spare (by two)"}, {Open, "open"}} {
		legend.WriteString(m.palette.mark[s.mark].Render(glyphs[s.mark]) + " " + s.name + "   ")
	}
	return append(lines, legend.String()+m.palette.faint.Render("q quits"))
}

// glyphs differ without colours, too.
var glyphs = map[Mark]string{Open: "·", Part: "▄", Done: "█", Claimed: "▒", Spare: "▓"}

// palette holds a style per mark, and those of the text.
type palette struct {
	mark        map[Mark]lipgloss.Style
	head, faint lipgloss.Style
	fault       lipgloss.Style
}

func newPalette(r *lipgloss.Renderer) palette {
	colour := func(c string) lipgloss.Style { return r.NewStyle().Foreground(lipgloss.Color(c)) }
	return palette{
		mark:  map[Mark]lipgloss.Style{Open: colour("8"), Part: colour("2"), Done: colour("2"), Claimed: colour("3"), Spare: colour("5")},
		head:  r.NewStyle().Bold(true),
		faint: colour("8"),
		fault: colour("1"),
	}
}

// Bounds of the strip.
const (
	maxStripRows  = 6
	maxCellsAUnit = 4 // so that a few units are wide enough to be seen
)

// strip returns the marks as lines of at most width cells.
func strip(units []Mark, width int, p palette) []string {
	if len(units) == 0 || width < 1 {
		return nil
	}
	cells := cells(units, width*maxStripRows)
	repeat := max(1, min(maxCellsAUnit, width/len(cells)))
	perLine := width / repeat
	var lines []string
	for lo := 0; lo < len(cells); lo += perLine {
		lines = append(lines, paint(cells[lo:min(lo+perLine, len(cells))], repeat, p))
	}
	return lines
}

// cells joins neighbouring units until there are at most n.
func cells(units []Mark, n int) []Mark {
	n = min(n, len(units))
	out := make([]Mark, n)
	for i := range out {
		out[i] = join(units[i*len(units)/n : (i+1)*len(units)/n])
	}
	return out
}

// join is the mark of several units together: what somebody works on shows, and is done only what is done entirely.
func join(units []Mark) Mark {
	top, low := units[0], units[0]
	for _, u := range units[1:] {
		top, low = max(top, u), min(low, u)
	}
	if top == Done && low != Done {
		return Part
	}
	return top
}

// paint writes a line, one style for each stretch of equal cells.
func paint(cells []Mark, repeat int, p palette) string {
	var b strings.Builder
	for lo := 0; lo < len(cells); {
		hi := lo
		for hi < len(cells) && cells[hi] == cells[lo] {
			hi++
		}
		b.WriteString(p.mark[cells[lo]].Render(strings.Repeat(glyphs[cells[lo]], repeat*(hi-lo))))
		lo = hi
	}
	return b.String()
}
