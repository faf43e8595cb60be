package server

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Bounds of the spool.
const (
	// segmentBytes is where a segment ends and the other begins anew: together
	// they always hold at least what the ring does.
	segmentBytes = ringBytes
	// spoolQueue is how many batches of lines wait for a slow disk before some are
	// left out: it must never be the disk that a child waits for.
	spoolQueue = 32
)

// spool keeps the latest output on disk, so that it is there for the server
// after one that was killed. It is two files that are filled in turns; the first
// line of each is its number, and each further line is one of output:
//
//	+<tab>label<tab>text
//
// with - for standard error. One goroutine (run) writes it.
type spool struct {
	log     *slog.Logger
	dir     string
	batches chan []line
	lost    int // lines that were left out since the latest batch; of the sender

	file   *os.File // nil until there is something to write
	number uint64   // of the segment that is being filled
	size   int
	failed bool // and told
}

func newSpool(dir string, log *slog.Logger) *spool {
	return &spool{log: log, dir: dir, batches: make(chan []line, spoolQueue)}
}

// offer hands lines over, or counts them as lost. It never waits.
func (s *spool) offer(lines []line) {
	if s.lost > 0 {
		lines = append([]line{{stderr, "zinit", droppedText(s.lost)}}, lines...)
	}
	select {
	case s.batches <- lines:
		s.lost = 0
	default:
		s.lost += len(lines)
	}
}

// run writes until batches is closed.
func (s *spool) run() {
	var b bytes.Buffer
	for lines := range s.batches {
		b.Reset()
		for _, l := range lines {
			fmt.Fprintf(&b, "%c\t%s\t%s\n", l.from[1], l.label, l.text)
		}
		err := s.write(b.Bytes())
		if err != nil && !s.failed {
			s.log.Warn("output not kept on disk", "err", err)
		}
		s.failed = err != nil
	}
	if s.file != nil {
		_ = s.file.Close()
	}
}

func (s *spool) write(b []byte) error {
	if s.file == nil || s.size+len(b) > segmentBytes {
		if err := s.turn(); err != nil {
			return err
		}
	}
	n, err := s.file.Write(b)
	s.size += n
	return err
}

// turn begins the next segment, over the one before the last.
func (s *spool) turn() error {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
	s.number++
	f, err := os.OpenFile(s.path(s.number), os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		s.number--
		return err
	}
	if s.size, err = fmt.Fprintln(f, s.number); err != nil {
		_ = f.Close() // a segment without its number would be read as none
		s.number--    // and the other one is all that there is: it is not its turn
		return err
	}
	s.file = f
	return nil
}

func (s *spool) path(number uint64) string {
	return filepath.Join(s.dir, "log."+strconv.FormatUint(number%2, 10))
}

// load reads what is there, oldest first. Further lines go behind it. A line
// that was cut off by the end of its writer is left out.
func (s *spool) load() ([]line, error) {
	type segment struct {
		number uint64
		lines  []line
	}
	var segments []segment
	for n := range uint64(2) {
		f, err := os.Open(s.path(n))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("start zinit: read the latest output: %w", err)
		}
		number, lines := readSegment(f)
		_ = f.Close()
		segments = append(segments, segment{number, lines})
	}
	slices.SortFunc(segments, func(a, b segment) int { return cmp.Compare(a.number, b.number) })
	var all []line
	for _, g := range segments {
		s.number = g.number
		all = append(all, g.lines...)
	}
	return all, nil
}

func readSegment(r io.Reader) (number uint64, lines []line) {
	scan := bufio.NewReader(io.LimitReader(r, 2*segmentBytes))
	first, err := scan.ReadString('\n')
	if err == nil {
		number, err = strconv.ParseUint(strings.TrimSpace(first), 10, 64)
	}
	for err == nil {
		var raw string
		if raw, err = scan.ReadString('\n'); err != nil {
			break
		}
		if l, ok := parseSpooled(strings.TrimSuffix(raw, "\n")); ok {
			lines = append(lines, l)
		}
	}
	return number, lines
}

func parseSpooled(raw string) (line, bool) {
	parts := strings.SplitN(raw, "\t", 3)
	if len(parts) != 3 || len(parts[0]) != 1 || parts[1] == "" {
		return line{}, false
	}
	from := stdout
	if parts[0] == stderr[1:2] {
		from = stderr
	}
	return line{from, parts[1], text([]byte(parts[2]))}, true
}
