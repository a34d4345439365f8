package api_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
)

// said is what the code says of its types' fields, by the names that these have in JSON: who reads an answer
// should find what they mean in the document, too.
var said = comments("*.go", "../events/*.go")

func comments(patterns ...string) map[string]map[string]string {
	out := map[string]map[string]string{}
	for _, pattern := range patterns {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				panic(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if spec, ok := n.(*ast.TypeSpec); ok {
					if s, ok := spec.Type.(*ast.StructType); ok {
						out[spec.Name.Name] = fieldsOf(s)
					}
				}
				return true
			})
		}
	}
	return out
}

// fieldsOf are the comments of a struct's fields, in a line each.
func fieldsOf(s *ast.StructType) map[string]string {
	out := map[string]string{}
	for _, f := range s.Fields.List {
		if f.Tag == nil {
			continue
		}
		key, _, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json"), ",")
		text := f.Doc.Text()
		if f.Comment != nil {
			text = f.Comment.Text()
		}
		out[key] = strings.Join(strings.Fields(text), " ")
	}
	return out
}
