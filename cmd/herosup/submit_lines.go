package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"herosup/dispatch/client"
	"herosup/events"
)

const (
	// longestLine bounds a line: a script as JSON may be six times as long.
	longestLine = events.MaxScript
	longestJSON = 7 << 20
	// namedLines bounds the lines that are named on stderr.
	namedLines = 20
	// lastAnswers bounds the wait for what is under way after an interruption.
	lastAnswers = 5 * time.Second
)

type lineFlags struct{ each, json bool }

func (l *lineFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&l.each, "each-line", false, "each line is a script")
	c.Flags().BoolVar(&l.json, "json-lines", false, "each line is a job as JSON")
}

func (l lineFlags) on() bool { return l.each || l.json }

// submitLines submits each line of a file.
func (a *app) submitLines(cmd *cobra.Command, args []string, j *jobFlags, l lineFlags) error {
	o, err := j.options(cmd)
	if err != nil {
		return err
	}
	// What all lines have is judged once; each line has an id of its own.
	all := o
	if all.ID != "" {
		all.ID += "-1"
	}
	if err := refusedOptions(args[0], all, ":"); err != nil {
		return err
	}
	in, size, err := openLines(cmd.InOrStdin(), fileOf(args))
	if err != nil {
		return err
	}
	defer in.Close()
	d, err := a.connect(cmd)
	if err != nil {
		return err
	}
	defer d.close()
	a.warnUnserved(cmd, d, args[0])
	asJSON, err := a.json()
	if err != nil {
		return err
	}
	s := &lineSubmission{
		jobType: args[0], opt: o, asJSON: l.json, prefix: o.ID,
		out: bufio.NewWriter(cmd.OutOrStdout()), printJSON: asJSON, under: map[string][]int{},
	}
	s.opt.ID = ""
	s.meter = a.meter(cmd)
	s.meter.of.Store(size)
	err = s.run(cmd.Context(), d.jobs, newInterruptible(cmd.Context(), countedReader{in, s.meter}))
	s.meter.stop()
	if out := s.out.Flush(); err == nil {
		err = out
	}
	return s.end(cmd.Context(), a, cmd, err)
}

func openLines(stdin io.Reader, name string) (r io.ReadCloser, size int64, err error) {
	if name == "-" {
		return io.NopCloser(stdin), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, &exitError{status: exitUsage, err: fmt.Errorf("read lines: %w", err)}
	}
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
		size = st.Size()
	} else if err == nil && st.IsDir() {
		_ = f.Close()
		return nil, 0, usagef("read lines: %s is a directory", name)
	}
	return f, size, nil
}

// lineSubmission is one file on its way. The reader adds; the Batch's goroutine
// tells what became of each.
type lineSubmission struct {
	jobType   string
	opt       client.Options
	prefix    string
	asJSON    bool // the lines are
	out       *bufio.Writer
	printJSON bool
	meter     *meter
	begun     time.Time

	mu                             sync.Mutex
	under                          map[string][]int // lines without an answer, by id: bounded by the Batch's window
	line                           int              // the last that was read
	accepted, refused, unconfirmed int
	broken                         error // of stdout
}

func (s *lineSubmission) run(ctx context.Context, c *client.Client, in io.Reader) error {
	b, err := c.Batch(client.BatchConfig{Done: s.done})
	if err != nil {
		return err
	}
	defer b.Close()
	s.begun = time.Now()
	err = s.each(ctx, b, bufio.NewReaderSize(in, 1<<16))
	// What is under way is waited for also when we are interrupted, for a moment.
	last := ctx
	if err != nil {
		var cancel context.CancelFunc
		last, cancel = context.WithTimeout(context.WithoutCancel(ctx), lastAnswers)
		defer cancel()
	}
	if _, flushed := b.Flush(last); err == nil {
		err = flushed
	}
	return err
}

// each adds line by line until the end, an interruption or a fault of the input.
func (s *lineSubmission) each(ctx context.Context, b *client.Batch, in *bufio.Reader) error {
	most := longestLine
	if s.asJSON {
		most = longestJSON
	}
	var buf []byte
	for n := 1; ; n++ {
		line, tooLong, err := readLine(in, buf[:0], most)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read line %d: %w", n, err)
		}
		if err != nil && len(line) == 0 {
			return s.stdoutBroken()
		}
		if cap(line) <= 1<<16 {
			buf = line // a long one is not kept
		}
		s.mu.Lock()
		s.line = n
		s.mu.Unlock()
		switch {
		case tooLong:
			s.refuse(n, "", &client.Refusal{Code: "line_too_long", Reason: fmt.Sprintf("the line is longer than %d bytes", most), Hint: "let the script fetch its data"})
		case len(bytes.TrimSpace(line)) > 0:
			if err := s.add(ctx, b, n, line); err != nil {
				return err
			}
		}
		if err := s.stdoutBroken(); err != nil {
			return err
		}
	}
}

// readLine reads up to a newline; of a line that is too long only the length of what
// is allowed is kept.
func readLine(in *bufio.Reader, buf []byte, most int) (line []byte, tooLong bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(buf)+len(part) > most+1 {
			tooLong = true
		} else {
			buf = append(buf, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if tooLong {
			return []byte{' '}, true, err
		}
		return bytes.TrimSuffix(buf, []byte{'\n'}), false, err
	}
}

// add sends one line. The error ends the submission; a refused line does not.
func (s *lineSubmission) add(ctx context.Context, b *client.Batch, n int, line []byte) error {
	job, err := s.job(line)
	if err != nil {
		s.refuse(n, "", &client.Refusal{Code: "bad_json", Reason: "no job as JSON: " + err.Error(), Hint: `want one line {"script": "...", ...}`})
		return nil
	}
	if job.ID == "" {
		job.ID = ulid.Make().String()
		if s.prefix != "" {
			job.ID = fmt.Sprintf("%s-%d", s.prefix, n)
		}
	}
	s.mu.Lock()
	s.under[job.ID] = append(s.under[job.ID], n)
	s.mu.Unlock()
	if _, err = b.AddJob(ctx, job); err == nil {
		return nil
	}
	s.mu.Lock()
	s.answered(job.ID)
	s.mu.Unlock()
	var r *client.Refusal
	if errors.As(err, &r) {
		s.refuse(n, job.ID, r)
		return nil
	}
	return err
}

// job is what a line says; what its JSON does not say is as the options have it.
func (s *lineSubmission) job(line []byte) (events.JobCreate, error) {
	if !s.asJSON {
		return s.opt.Create(s.jobType, string(bytes.TrimSuffix(line, []byte{'\r'}))), nil // of a line's end, as of Windows
	}
	job := s.opt.Create(s.jobType, "")
	job.Env = maps.Clone(job.Env) // of all lines
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&job); err != nil {
		return job, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return job, errors.New("something stands behind the object")
	}
	return job, nil
}

// answered forgets a line of an id, the one that was sent first.
func (s *lineSubmission) answered(id string) (line int) {
	lines := s.under[id]
	if len(lines) <= 1 {
		delete(s.under, id)
	} else {
		s.under[id] = lines[1:]
	}
	if len(lines) == 0 {
		return 0
	}
	return lines[0]
}

// done is told by the Batch.
func (s *lineSubmission) done(id string, err error) {
	s.mu.Lock()
	line := s.answered(id)
	var r *client.Refusal
	switch {
	case err == nil:
		s.accepted++
		s.print(submitted{Line: line, Job: id})
	case !errors.As(err, &r):
		s.unconfirmed++
	}
	s.meter.set(s.accepted + s.refused)
	s.mu.Unlock()
	if r != nil {
		s.refuse(line, id, r)
	}
}

func (s *lineSubmission) refuse(line int, id string, r *client.Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused++
	if s.printJSON {
		s.print(submitted{Line: line, Job: id, Error: &lineError{Code: r.Code, Reason: r.Reason, Hint: r.Hint}})
	}
	if s.refused > namedLines {
		return
	}
	text := fmt.Sprintf("line %d: %s", line, oneLine(r.Reason))
	if r.Hint != "" {
		text += " (" + oneLine(r.Hint) + ")"
	}
	s.meter.say(text)
}

// print writes one job to stdout, s.mu held.
func (s *lineSubmission) print(j submitted) {
	var err error
	if s.printJSON {
		err = json.NewEncoder(s.out).Encode(j)
	} else {
		_, err = fmt.Fprintln(s.out, j.Job)
	}
	if s.broken == nil {
		s.broken = err
	}
}

func (s *lineSubmission) stdoutBroken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// end says what came of it all.
func (s *lineSubmission) end(ctx context.Context, a *app, cmd *cobra.Command, err error) error {
	if s.refused > namedLines {
		a.note(cmd, "... and %d lines more", s.refused-namedLines)
	}
	counts := fmt.Sprintf("%d accepted, %d refused", s.accepted, s.refused)
	if s.unconfirmed > 0 {
		counts += fmt.Sprintf(", %d not confirmed", s.unconfirmed)
	}
	took := time.Since(s.begun)
	switch {
	case err != nil && ctx.Err() != nil:
		return hinted(exitInterrupted, fmt.Errorf("interrupted at line %d: %s", s.line, counts),
			"with --id the whole file may be submitted again: what was accepted is the same job")
	case err != nil:
		return hinted(statusOf(ctx, err), fmt.Errorf("stopped at line %d: %w (%s)", s.line, err, counts), hintOf(err))
	case s.refused+s.unconfirmed > 0:
		return &exitError{status: exitFailed, err: errors.New(counts)}
	}
	a.note(cmd, "%s in %s (%.0f/s)", counts, age(took), float64(s.accepted)/took.Seconds())
	return nil
}
