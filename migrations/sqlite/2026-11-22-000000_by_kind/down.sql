DROP INDEX workflows_by_kind;
