package fsm

import (
	"context"
	"fmt"
	"time"

	looplab "github.com/looplab/fsm"
)

// Chart is the table made ready to run: looplab/fsm decides every transition, an
// index finds the row and so the actions.
//
// One looplab machine serves all actors. It is put into the actor's state before
// each event, because its own state can be neither copied nor compared, while an
// actor's record shall be a plain value (Fold is then a function one can replay).
// SetState accepts any word; here it only ever gets one that a transition gave.
//
// Its other traps are kept out too: no callbacks, hence no misspelt ones and no
// re-entry; stay rows never reach it, hence no NoTransitionError; the context can
// not be cancelled, which would wedge it for good; doubled rows and unknown
// states are refused by validate.
//
// A Chart belongs to one goroutine.
type Chart struct {
	rows    map[State]map[Event]Row
	arbiter *looplab.FSM
}

// NewChart validates the table.
func NewChart() (*Chart, error) { return newChart(Lifecycle) }

func newChart(rows []Row) (*Chart, error) {
	if err := validate(rows); err != nil {
		return nil, err
	}
	c := &Chart{rows: map[State]map[Event]Row{}}
	var moves []looplab.EventDesc
	for _, r := range rows {
		var src []string
		for _, s := range r.From {
			if c.rows[s] == nil {
				c.rows[s] = map[Event]Row{}
			}
			c.rows[s][r.On] = r
			src = append(src, string(s))
		}
		if !r.Stay {
			moves = append(moves, looplab.EventDesc{Name: string(r.On), Src: src, Dst: string(r.To)})
		}
	}
	c.arbiter = looplab.NewFSM(string(Initial), moves, nil)
	return c, nil
}

// Refused says that the table has no row for the event in that state.
type Refused struct {
	State State
	On    Event
}

func (r *Refused) Error() string {
	return fmt.Sprintf("%s in state %s is not in the table", r.On, r.State)
}

// Step applies one event. The error is *Refused, or a fault of ours when looplab
// and the table disagree; the machine is unchanged then.
func (c *Chart) Step(ctx context.Context, m Machine, on Event, now time.Time) (Machine, Row, error) {
	row, ok := c.rows[m.State][on]
	if !ok {
		return m, Row{}, &Refused{m.State, on}
	}
	from := m.State
	if !row.Stay {
		c.arbiter.SetState(string(from))
		if err := c.arbiter.Event(context.WithoutCancel(ctx), string(on)); err != nil {
			return m, Row{}, fmt.Errorf("step from %s on %s: %w", from, on, err)
		}
		if got := State(c.arbiter.Current()); got != row.To {
			return m, Row{}, fmt.Errorf("step from %s on %s: looplab went to %s, the table says %s", from, on, got, row.To)
		}
		m.State = row.To
	}
	if !row.Stay || len(row.Do) > 0 {
		m.remember(Step{now, from, on, m.State})
	}
	return m, row, nil
}

// Remembered is how many steps a machine keeps for its history.
const Remembered = 16

// Machine is an actor's state and how it got there. A value; the zero value is
// not valid, see NewActor.
type Machine struct {
	State State
	steps [Remembered]Step
	n     int // steps made in all; the newest is steps[(n-1)%Remembered]
}

// Step is one line of a machine's history.
type Step struct {
	At   time.Time
	From State
	On   Event
	To   State
}

func (s Step) String() string {
	return fmt.Sprintf("%s %s --%s--> %s", s.At.UTC().Format("15:04:05.000"), s.From, s.On, s.To)
}

func (m *Machine) remember(s Step) {
	m.steps[m.n%Remembered] = s
	m.n++
}

// History lists the last steps, oldest first.
func (m Machine) History() []string {
	var h []string
	for i := max(0, m.n-Remembered); i < m.n; i++ {
		h = append(h, m.steps[i%Remembered].String())
	}
	return h
}
