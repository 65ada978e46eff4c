-- What can be seen on a host, as its sensor said when it last connected: one sight a line, `NAME=WAY; what this way does not
-- see`, and without a way only the name. Null: it has not said. A claim, like all that a host says of itself.
alter table host add column capabilities text;
