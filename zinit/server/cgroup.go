package server

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"herosup/zinit"

	"golang.org/x/sys/unix"
)

// cgroups makes control groups (cgroup v2) for services that name a bound of
// memory or processors. For concurrent use.
//
// Where the server's own group is delegated to it (as root, or by systemd's
// Delegate=yes), the tree is
//
//	<ours>/zinit-server               the server, its keeper and services without
//	                                  bounds: a group that has others below it may
//	                                  hold no process
//	<ours>/zinit-<instance>/<service>
type cgroups struct {
	prepare func() (root string, err error)

	making sync.Mutex             // one prepares at a time
	root   atomic.Pointer[string] // <ours>/zinit-<instance>; nil until it is there

	mu    sync.Mutex
	kills map[string]int // by service: those of the kernel that are known
}

func newCgroups(prepare func() (root string, err error)) *cgroups {
	return &cgroups{prepare: prepare, kills: make(map[string]int)}
}

// controllers that a service's bounds need.
const controllers = "+cpu +memory"

// place makes the group of a service and opens it for a process to begin in.
// nil without an error: the service asks for none.
func (c *cgroups) place(service string, e zinit.Extension) (*os.File, error) {
	if e.Memory == 0 && e.CPU == 0 {
		return nil, nil
	}
	root, err := c.ready()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, service)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	for _, w := range settings(e) {
		if err := os.WriteFile(filepath.Join(dir, w.file), []byte(w.text), 0); err != nil {
			return nil, fmt.Errorf("cgroup: %w", err)
		}
	}
	f, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	c.outOfMemory(service) // what was killed before is not the next life's
	return f, nil
}

// ready is where groups are made, or why they can not be for now: what is in the way
// may go, so the next who asks tries again.
func (c *cgroups) ready() (root string, err error) {
	c.making.Lock()
	defer c.making.Unlock()
	if there := c.root.Load(); there != nil {
		return *there, nil
	}
	if root, err = c.prepare(); err == nil {
		c.root.Store(&root)
	}
	return root, err
}

// outOfMemory reports whether the kernel has killed processes of the service for want
// of memory since this was asked last.
func (c *cgroups) outOfMemory(service string) bool {
	root := c.root.Load()
	if root == nil {
		return false
	}
	b, err := os.ReadFile(filepath.Join(*root, service, "memory.events"))
	if err != nil {
		return false // it has none
	}
	kills := killsIn(string(b))
	c.mu.Lock()
	defer c.mu.Unlock()
	more := kills > c.kills[service]
	c.kills[service] = kills
	return more
}

// killsIn is the count of such kills in a file memory.events.
func killsIn(events string) int {
	for line := range strings.Lines(events) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			kills, _ := strconv.Atoi(strings.TrimSpace(n))
			return kills
		}
	}
	return 0
}

type setting struct{ file, text string }

// settings are the bounds as the kernel takes them. What goes over memory takes
// the whole service with it, not one process of it.
func settings(e zinit.Extension) []setting {
	const period = 100_000 // us; the kernel's default
	memory, cpu := "max", "max"
	if e.Memory != 0 {
		memory = strconv.FormatUint(e.Memory, 10)
	}
	if e.CPU != 0 {
		cpu = strconv.Itoa(max(1000, int(e.CPU*period))) // the kernel's least
	}
	return []setting{
		{"memory.max", memory},
		{"memory.oom.group", "1"},
		{"cpu.max", cpu + " " + strconv.Itoa(period)},
	}
}

// remove takes the group of a service away once nothing is in it.
func (c *cgroups) remove(service string) {
	if root := c.root.Load(); root != nil && os.Remove(filepath.Join(*root, service)) == nil { // rmdir: fails while it is in use
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.kills, service) // the next group counts anew
	}
}

// removeAll is for the end.
func (c *cgroups) removeAll() {
	root := c.root.Load()
	if root == nil {
		return
	}
	entries, _ := os.ReadDir(*root)
	for _, e := range entries {
		if e.IsDir() {
			_ = os.Remove(filepath.Join(*root, e.Name()))
		}
	}
	_ = os.Remove(*root)
}

// prepareCgroups has the kernel hand the controllers down to groups below ours.
func (r records) prepareCgroups() (root string, err error) {
	own, err := controlled("self")
	if err != nil {
		return "", err
	}
	root = filepath.Join(own, "zinit-"+r.instance)
	if err := os.Mkdir(root, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("cgroup: %w", err)
	}
	if err := r.handDownFrom(own); err != nil {
		return "", err
	}
	if err := handDown(root); err != nil {
		return "", fmt.Errorf("cgroup: %w", err)
	}
	return root, nil
}

// moves bounds how often processes that have begun meanwhile are moved.
const moves = 10

// handDownFrom has our own group hand its controllers down, for which it may hold no
// process: ours go into a group below it.
func (r records) handDownFrom(own string) error {
	leaf := filepath.Join(own, "zinit-server")
	err := handDown(own)
	for range moves {
		if !errors.Is(err, unix.EBUSY) {
			break
		}
		if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("cgroup: %w", err)
		}
		moved, others, moveErr := r.moveOurs(own, leaf)
		if err = handDown(own); err == nil || moved > 0 && errors.Is(err, unix.EBUSY) {
			continue
		}
		return fmt.Errorf("cgroup: %s holds processes that are not the server's: %v: %w", own, others, errors.Join(err, moveErr))
	}
	if err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	return nil
}

// moveOurs moves what we are, have started or adopted from one group to another, and
// tells who else is there.
func (r records) moveOurs(from, to string) (moved int, others []int, err error) {
	all, err := allProcs()
	if err != nil {
		return 0, nil, err
	}
	marked, err := r.marked(0)
	if err != nil {
		return 0, nil, err
	}
	ours := map[int]bool{os.Getpid(): true}
	for _, p := range descendants(all, os.Getpid()) {
		ours[p.pid] = true
	}
	for _, procs := range marked {
		for _, p := range procs {
			ours[p.pid] = true
		}
	}
	b, err := os.ReadFile(filepath.Join(from, "cgroup.procs"))
	if err != nil {
		return 0, nil, err
	}
	for _, text := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(text)
		if err != nil || !ours[pid] {
			others = append(others, pid)
			continue
		}
		err = os.WriteFile(filepath.Join(to, "cgroup.procs"), []byte(text), 0)
		if err == nil || errors.Is(err, unix.ESRCH) { // it has ended
			moved++
			continue
		}
		return moved, others, err
	}
	return moved, others, nil
}

// Bounds reports why a server whose process is pid (0: this one) can not bound
// memory and processors; nil when it can, as far as rights and controllers tell. It
// changes nothing.
func Bounds(pid int) error {
	who := "self"
	if pid != 0 {
		who = strconv.Itoa(pid)
	}
	own, err := controlled(who)
	if err != nil {
		return err
	}
	for _, path := range []string{own, filepath.Join(own, "cgroup.subtree_control")} {
		if err := unix.Access(path, unix.W_OK); err != nil {
			return fmt.Errorf("cgroup: %s can not be written: %w", path, err)
		}
	}
	return nil
}

// controlled is the group of a process, which has the controllers that bounds need.
func controlled(who string) (string, error) {
	own, err := cgroupOf(who)
	if err != nil {
		return "", err
	}
	there, err := os.ReadFile(filepath.Join(own, "cgroup.controllers"))
	if err != nil {
		return "", fmt.Errorf("cgroup: %w", err)
	}
	for _, want := range []string{"cpu", "memory"} {
		if !strings.Contains(" "+strings.TrimSpace(string(there))+" ", " "+want+" ") {
			return "", fmt.Errorf("cgroup: %s has no %s controller (it has: %s)", own, want, strings.TrimSpace(string(there)))
		}
	}
	return own, nil
}

func handDown(dir string) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte(controllers), 0)
}

// cgroupOf is the folder of a process' group ("self": our own) in the unified hierarchy.
func cgroupOf(who string) (string, error) {
	mount, err := cgroupMount()
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(filepath.Join("/proc", who, "cgroup"))
	if err != nil {
		return "", fmt.Errorf("cgroup: %w", err)
	}
	for l := range strings.Lines(string(b)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(l), "0::"); ok {
			return filepath.Join(mount, path), nil
		}
	}
	return "", errors.New("cgroup: this machine has no cgroup v2")
}

func cgroupMount() (string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("cgroup: %w", err)
	}
	defer func() { _ = f.Close() }()
	for scan := bufio.NewScanner(f); scan.Scan(); {
		before, after, _ := strings.Cut(scan.Text(), " - ")
		if fields := strings.Fields(before); strings.HasPrefix(after, "cgroup2 ") && len(fields) > 4 {
			return fields[4], nil
		}
	}
	return "", errors.New("cgroup: no cgroup v2 is mounted")
}
