DROP INDEX workflows_retrying;
