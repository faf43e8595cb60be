package events

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Incarnation names one life of one process: the boot it belongs to, its PID
// and its start time. A PID alone is reused by the kernel, a name alone is
// reused by us; the three together never come again, so a fact about a dead
// process can not be taken for one about its successor.
//
// Its text form is "<boot>-<pid>-<start>", a valid subject token and Redis key
// part. The zero value means "no process".
type Incarnation struct {
	// Boot is the first eight hex digits of the kernel's boot id.
	Boot string
	// PID is the process id in this PID namespace.
	PID int
	// Start is the start time in clock ticks since boot (proc(5), stat field 22).
	Start uint64
}

// ErrNoProcess says that there is no live process with the PID asked for.
var ErrNoProcess = errors.New("no such process")

// IncarnationOf reads the identity of a live process from /proc. A zombie
// counts as gone: it runs nothing any more. The error is ErrNoProcess then. One whose first thread has ended is
// a zombie as well, and lives for as long as another thread of it does.
func IncarnationOf(pid int) (Incarnation, error) {
	boot, err := bootID()
	if err != nil {
		return Incarnation{}, err
	}
	start, runs, err := procStat(pid)
	if err != nil {
		return Incarnation{}, err
	}
	if !runs {
		return Incarnation{}, ErrNoProcess
	}
	return Incarnation{Boot: boot, PID: pid, Start: start}, nil
}

// ParseIncarnation reads the text form.
func ParseIncarnation(s string) (Incarnation, error) {
	boot, rest, ok1 := strings.Cut(s, "-")
	pid, start, ok2 := strings.Cut(rest, "-")
	if !ok1 || !ok2 || len(boot) != 8 || strings.Trim(boot, "0123456789abcdef") != "" {
		return Incarnation{}, fmt.Errorf("parse incarnation %q: want <boot>-<pid>-<start>", s)
	}
	p, err := strconv.ParseUint(pid, 10, 31)
	if err != nil || p == 0 {
		return Incarnation{}, fmt.Errorf("parse incarnation %q: bad pid", s)
	}
	t, err := strconv.ParseUint(start, 10, 64)
	if err != nil {
		return Incarnation{}, fmt.Errorf("parse incarnation %q: bad start time", s)
	}
	return Incarnation{Boot: boot, PID: int(p), Start: t}, nil
}

// String is the text form; "" for the zero value.
func (i Incarnation) String() string {
	if i == (Incarnation{}) {
		return ""
	}
	return i.Boot + "-" + strconv.Itoa(i.PID) + "-" + strconv.FormatUint(i.Start, 10)
}

// IsZero reports whether this names no process.
func (i Incarnation) IsZero() bool { return i == (Incarnation{}) }

// Alive reports whether exactly this process still runs on this machine.
// A process of an earlier boot is dead, whatever its PID does now.
func (i Incarnation) Alive() bool {
	now, err := IncarnationOf(i.PID)
	return err == nil && now == i
}

// MarshalText implements encoding.TextMarshaler, so that JSON carries the text.
func (i Incarnation) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; "" is the zero value.
func (i *Incarnation) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*i = Incarnation{}
		return nil
	}
	v, err := ParseIncarnation(string(b))
	if err != nil {
		return err
	}
	*i = v
	return nil
}

// bootID is constant for the life of this process, so it is read once.
var bootID = sync.OnceValues(func() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	if len(b) < 8 {
		return "", fmt.Errorf("read boot id: too short: %q", b)
	}
	return string(b[:8]), nil
})

// procStat returns the start time, and whether it runs anything. The command name (field 2) may
// hold spaces and parentheses, so fields are counted from its last ')'.
func procStat(pid int) (start uint64, runs bool, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false, ErrNoProcess
	}
	end := bytes.LastIndexByte(b, ')')
	if end < 0 {
		return 0, false, fmt.Errorf("read stat of pid %d: no command name", pid)
	}
	f := bytes.Fields(b[end+1:])
	const startField = 22 - 3 // field 3 (state) is f[0]
	if len(f) <= startField {
		return 0, false, fmt.Errorf("read stat of pid %d: %d fields", pid, len(f))
	}
	start, err = strconv.ParseUint(string(f[startField]), 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("read stat of pid %d: %w", pid, err)
	}
	return start, statRuns(f), nil
}

// statRuns reads from the fields behind the command name whether any thread runs: the state is that of the first, and
// the others are counted until they have let go of all they had.
func statRuns(f [][]byte) bool {
	const threadsField = 20 - 3
	switch f[0][0] {
	case 'X':
		return false
	case 'Z':
		return len(f) > threadsField && string(f[threadsField]) != "1" && string(f[threadsField]) != "0"
	}
	return true
}
