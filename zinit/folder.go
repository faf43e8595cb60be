package zinit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
)

// suffix is what makes a file in the folder a service file.
const suffix = ".yaml"

// Folder is the path of a folder with service files. It is for concurrent use:
// each operation is one step of the file system. Names are checked by the caller.
type Folder string

func (f Folder) path(name string) string { return filepath.Join(string(f), name+suffix) }

// LoadAll reads every service file. What is no service is told and left out.
func (f Folder) LoadAll(log *slog.Logger) (map[string]Service, error) {
	entries, err := os.ReadDir(string(f))
	if err != nil {
		return nil, fmt.Errorf("start zinit: read service files: %w", err)
	}
	all := make(map[string]Service)
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || !e.Type().IsRegular() {
			continue
		}
		err := ValidName(name)
		var s Service
		if err == nil {
			s, err = f.Load(name)
		}
		if err != nil {
			log.Warn("service file skipped", "file", e.Name(), "err", err)
			continue
		}
		all[name] = s
	}
	return all, nil
}

// Load reads one service file. os.ErrNotExist if there is none.
func (f Folder) Load(name string) (Service, error) {
	text, err := f.read(name)
	if err != nil {
		return Service{}, err
	}
	return ParseFile(text)
}

func (f Folder) read(name string) ([]byte, error) {
	file, err := os.Open(f.path(name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err == nil && len(text) > MaxFile {
		err = fmt.Errorf("service file is over the limit of %d bytes", MaxFile)
	}
	return text, err
}

// Get is a service file as JSON, keys that we do not know included.
func (f Folder) Get(name string) ([]byte, error) {
	text, err := f.read(name)
	if err != nil {
		return nil, err
	}
	if object, ok := ownObject(text); ok && json.Valid(object) {
		return object, nil
	}
	var content []byte
	err = unpanicked(func() (err error) {
		if err = checkYAML(text); err != nil {
			return err
		}
		if content, err = yaml.YAMLToJSON(text); err != nil || json.Valid(content) {
			return err
		}
		// The library writes control characters as YAML escapes them ("\a").
		var v map[string]any
		if err = yaml.Unmarshal(text, &v); err == nil {
			content, err = json.Marshal(v)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	c, err := parseContent(text)
	if err == nil {
		_, err = c.Service()
	}
	if err != nil {
		return content, nil // no service: shown for what it is
	}
	return withKnown(content, c)
}

// withKnown is the text of a file as JSON, with c for the keys that we know: what we take for
// 0027 is a 23 for the YAML library.
func withKnown(content []byte, c Content) ([]byte, error) {
	known, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	all, err := object(content)
	if err != nil {
		return nil, err
	}
	ours, err := object(known)
	if err != nil {
		return nil, err
	}
	overlay(all, ours)
	return json.Marshal(all)
}

func object(b []byte) (all map[string]any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err = d.Decode(&all)
	return all, err
}

// overlay puts what is in from into its place in to.
func overlay(to, from map[string]any) {
	for key, v := range from {
		inner, both := to[key].(map[string]any)
		if more, is := v.(map[string]any); is && both {
			overlay(inner, more)
			continue
		}
		to[key] = v
	}
}

// ErrExists says that there is a file of that name.
var ErrExists = errors.New("the service's file is there already")

// Create writes a new service file: all of it or nothing, and never over
// another. It is not flushed to the disk: services are made anew after a power
// cut by whoever wants them, and a flush costs more than a process.
func (f Folder) Create(name string, content []byte) error {
	text, err := EncodeFile(content)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(string(f), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	err = os.Link(tmp.Name(), f.path(name)) // unlike a rename, refuses to replace
	if errors.Is(err, os.ErrExist) {
		return ErrExists
	}
	return err
}

// Remove takes a service file away.
func (f Folder) Remove(name string) error { return os.Remove(f.path(name)) }
