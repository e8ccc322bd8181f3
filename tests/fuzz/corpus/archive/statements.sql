CREATE TABLE a(b TEXT DEFAULT ';'); -- c;
;SELECT ?1, 'x''y'