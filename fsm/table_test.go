package fsm

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldens is seen from this folder; the README embeds lifecycle.mmd.
const goldens = "../testdata/fsm"

func TestTableHasNoFault(t *testing.T) {
	if err := Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestDrawingAndMatrixAreTheTable(t *testing.T) {
	for name, got := range map[string]string{"lifecycle.mmd": Mermaid(), "matrix.txt": Matrix()} {
		file := filepath.Join(goldens, name)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s (-file +table); go test ./fsm -update rewrites it:\n%s", name, d)
		}
	}
}

// The rows of design.md 3, written down a second time and by hand: a change of
// the table that leaves one of them is a change of the design.
func TestTableIsTheDesigns(t *testing.T) {
	const stricter = "draining: CloseIntake" // see the comment in table.go
	for _, c := range []struct{ from, on, want string }{
		{"stopped", "StartRequested", "starting: OpenIntake, StartProcess"},
		{"stopped", "ProcessStarted", stricter},
		{"starting", "ProcessReady", "idle"},
		{"starting idle pinging", "JobStarted", "running"},
		{"starting", "StartTimedOut", "failed: KillProcess"},
		{"idle", "PingSent", "pinging: PingIntake"},
		{"pinging", "PongReceived", "idle"},
		{"pinging", "PingsExhausted", "restarting: CloseIntake, KillProcess"},
		{"running", "JobEnded", "idle"},
		{"running", "JobOverran", "restarting: KillProcess"},
		{"starting idle pinging running", "StopRequested", "draining: CloseIntake"},
		{"starting idle pinging running", "RestartRequested", "recycling: CloseIntake"},
		{"draining", "StopWithdrawn", "idle: OpenIntake"},
		{"draining", "StopWithdrawnBusy", "running: OpenIntake"},
		{"draining", "Drained", "stopping: StopProcess"},
		{"recycling", "Drained", "restarting: RestartProcess"},
		{"draining", "DrainExpired", "stopping: KillProcess"},
		{"recycling", "DrainExpired", "restarting: KillProcess"},
		{"draining", "ProcessExited", "stopping: recover, StopProcess"},
		{"recycling", "ProcessExited", "restarting: recover"},
		{"stopping", "StopTimedOut", "stay: KillProcess"},
		{"stopping", "ProcessExited", "stopped: recover"},
		{"stopping", "ObservedDown", "stopped: recover"},
		{"stopping", "StartRequested", "stay: RememberStart"},
		{"restarting", "ProcessStarted", "starting: OpenIntake"},
		{"restarting failed", "ProcessExited", "stay: recover"},
		{"restarting failed quarantined", "StopRequested", stricter},
		{"recycling", "StopRequested", "draining"},
		{"restarting", "StartTimedOut", "failed"},
		{"starting idle pinging running", "ProcessExited", "failed: recover"},
		{"failed", "ProcessStarted", "starting: OpenIntake"},
		{"failed", "RestartDue", "restarting: StartProcess"},
		{"failed", "CrashLoop", "quarantined: CloseIntake, StopProcess, TellQuarantined"},
		{"quarantined", "ResetRequested", "starting: OpenIntake, StartProcess"},
		{"quarantined", "ProcessStarted", "stay: CloseIntake"},
		{"quarantined", "Drained", "stay: StopProcess"},
	} {
		for from := range strings.FieldsSeq(c.from) {
			got := strings.TrimPrefix(verdict(State(from), Event(c.on)), "-> ")
			if got != c.want {
				t.Errorf("%s on %s: %s, want %s", from, c.on, got, c.want)
			}
		}
	}
}

func TestFaultyTablesAreRefused(t *testing.T) {
	edit := func(f func(rows []Row) []Row) []Row { return f(append([]Row(nil), Lifecycle...)) }
	without := func(gone func(Row) bool) []Row {
		var rows []Row
		for _, r := range Lifecycle {
			if !gone(r) {
				rows = append(rows, r)
			}
		}
		return rows
	}
	for name, c := range map[string]struct {
		rows []Row
		want string
	}{
		"doubled row": {
			edit(func(r []Row) []Row { return append(r, Row{in(Idle), JobStarted, Draining, nil, false}) }),
			"idle on JobStarted is in row 3 already",
		},
		"doubled by a stay row": {
			edit(func(r []Row) []Row { return append(r, stay(JobStarted, in(Idle))) }),
			"idle on JobStarted is in row 3 already",
		},
		"unknown target": {
			edit(func(r []Row) []Row { r[1].To = "idel"; return r }),
			`row 2 (ProcessReady): unknown state "idel"`,
		},
		"unknown source": {
			edit(func(r []Row) []Row { r[1].From = in("startng"); return r }),
			`row 2 (ProcessReady): unknown state "startng"`,
		},
		"unknown event": {
			edit(func(r []Row) []Row { r[1].On = "ProcessRedy"; return r }),
			`row 2: unknown event "ProcessRedy"`,
		},
		"event never used": {
			without(func(r Row) bool { return r.On == PongReceived }),
			"no row uses the event PongReceived",
		},
		"unreachable state": {
			without(func(r Row) bool { return r.To == Quarantined }),
			"no way leads from stopped to quarantined",
		},
		"state without exit": {
			without(func(r Row) bool { return r.On == ResetRequested || r.On == StopRequested || r.On == StopWithdrawnLate }),
			"no way leads out of quarantined",
		},
		"action without a handler": {
			edit(func(r []Row) []Row { r[1].Do = do("StartProces"); return r }),
			`row 2 (ProcessReady): nothing handles the action "StartProces"`,
		},
		"stay row that goes elsewhere": {
			edit(func(r []Row) []Row { return append(r, Row{in(Stopped), PongReceived, Idle, nil, true}) }),
			`a stay row goes to "idle"`,
		},
		"self-transition": {
			edit(func(r []Row) []Row { return append(r, Row{in(Stopped), PongReceived, Stopped, nil, false}) }),
			"stopped goes to itself",
		},
		"row from nowhere": {
			edit(func(r []Row) []Row { r[1].From = nil; return r }),
			"row 2 (ProcessReady): no state to leave",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newChart(c.rows)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant it to say %q", err, c.want)
			}
		})
	}
}
