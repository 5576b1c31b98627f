"""JSON schemas as EBNF grammars that no answer can follow without matching its schema."""
