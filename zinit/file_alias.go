package zinit

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// checkAliases refuses a text whose aliases, put where they stand by the YAML library,
// make it more than a file without may be: a few hundred bytes of them are enough for
// gigabytes, and one within what it stands for has no end (the library then ends our process).
func checkAliases(text []byte) error {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return err
	}
	w := weigher{of: map[string]weight{}, open: map[string]bool{}}
	for _, doc := range file.Docs {
		ast.Walk(&w, doc)
	}
	return w.err
}

// weight is what a node is with all that is in it.
type weight struct{ values, bytes uint64 }

// weigher adds up what it walks over.
type weigher struct {
	weight
	of   map[string]weight // by anchor
	open map[string]bool   // anchors that it is within
	err  error
}

// Visit is for ast.Walk: nil is not to go further down.
func (w *weigher) Visit(n ast.Node) ast.Visitor {
	if w.err != nil {
		return nil
	}
	switch n := n.(type) {
	case *ast.AnchorNode:
		name, before := n.Name.String(), w.weight
		if _, twice := w.of[name]; twice || w.open[name] {
			w.err = fmt.Errorf("anchor %s is there twice", name) // which one an alias means, the library is not sure
			return nil
		}
		w.open[name] = true
		ast.Walk(w, n.Value)
		delete(w.open, name)
		w.of[name] = weight{w.values - before.values, w.bytes - before.bytes}
		return nil
	case *ast.AliasNode:
		name := n.Value.String()
		if w.open[name] {
			w.err = fmt.Errorf("alias %s is a part of what it stands for", name)
			return nil
		}
		w.add(w.of[name])
		return nil
	case *ast.LiteralNode:
		w.add(weight{1, uint64(len(n.Value.Value))})
		return nil
	case ast.ScalarNode:
		w.add(weight{1, uint64(len(n.GetToken().Value))})
	}
	return w
}

// add stops at the first sum that is too much, so that none runs over.
func (w *weigher) add(more weight) {
	w.values += more.values
	w.bytes += more.bytes
	switch {
	case w.values > maxTokens:
		w.err = fmt.Errorf("service file has, with its aliases, more than %d values", maxTokens)
	case w.bytes > MaxFile:
		w.err = fmt.Errorf("service file has, with its aliases, more than %d bytes", MaxFile)
	}
}
