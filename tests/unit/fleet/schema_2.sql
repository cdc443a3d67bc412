BEGIN TRANSACTION;
CREATE TABLE agents (
	id VARCHAR NOT NULL, 
	site VARCHAR NOT NULL, 
	credential INTEGER NOT NULL, 
	password VARCHAR NOT NULL, 
	bench BLOB, 
	heard_s FLOAT, 
	PRIMARY KEY (id)
);
CREATE TABLE artifacts (
	release INTEGER NOT NULL, 
	device_type VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	slot INTEGER NOT NULL, 
	image BLOB NOT NULL, 
	manifest BLOB NOT NULL, 
	blob BLOB NOT NULL, 
	version VARCHAR NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	groups INTEGER NOT NULL, 
	security_counter INTEGER NOT NULL, 
	key_hash BLOB NOT NULL, 
	"foreign" BOOLEAN NOT NULL, 
	labels TEXT NOT NULL, 
	PRIMARY KEY (release, device_type, kind, slot), 
	FOREIGN KEY(release) REFERENCES releases (id)
);
CREATE TABLE class_totals (
	site VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	version VARCHAR NOT NULL, 
	label VARCHAR NOT NULL, 
	inferences INTEGER NOT NULL, 
	PRIMARY KEY (site, model, version, label)
);
INSERT INTO "class_totals" VALUES('north','demo','1.0.0','a',7);
CREATE TABLE deployments (
	rollout INTEGER NOT NULL, 
	device VARCHAR NOT NULL, 
	wave INTEGER NOT NULL, 
	image BLOB, 
	manifest BLOB, 
	firmware BLOB, 
	firmware_manifest BLOB, 
	generation INTEGER NOT NULL, 
	state VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	"update" VARCHAR, 
	result VARCHAR, 
	offset_bytes INTEGER NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	detail TEXT NOT NULL, 
	reopened INTEGER NOT NULL, 
	boot INTEGER, 
	seq INTEGER, 
	deadline_s FLOAT, 
	changed_s FLOAT NOT NULL, 
	PRIMARY KEY (rollout, device), 
	FOREIGN KEY(rollout) REFERENCES rollouts (id)
);
CREATE TABLE devices (
	id VARCHAR NOT NULL, 
	site VARCHAR NOT NULL, 
	device_type VARCHAR NOT NULL, 
	generation INTEGER NOT NULL, 
	credential INTEGER NOT NULL, 
	password VARCHAR NOT NULL, 
	registered_s FLOAT NOT NULL, 
	birth BLOB, 
	born_s FLOAT, 
	period_s INTEGER NOT NULL, 
	keepalive_s INTEGER NOT NULL, 
	conn VARCHAR, 
	conn_boot INTEGER, 
	conn_number INTEGER, 
	conn_at_s FLOAT NOT NULL, 
	next_wake_s INTEGER, 
	heard_s FLOAT, 
	held_until_s FLOAT, 
	outlived BOOLEAN NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "devices" VALUES('node-1','north','mps2-an386',2,1,'',1700000000.0,NULL,NULL,1,15,NULL,NULL,NULL,0.0,NULL,1700000009.0,NULL,0);
CREATE TABLE events (
	device VARCHAR NOT NULL, 
	boot INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	uptime_ms TEXT NOT NULL, 
	class INTEGER, 
	score INTEGER, 
	text TEXT, 
	model BLOB, 
	at_s FLOAT NOT NULL, 
	PRIMARY KEY (device, boot, seq)
);
CREATE TABLE latency_totals (
	site VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	version VARCHAR NOT NULL, 
	timing VARCHAR NOT NULL, 
	buckets TEXT NOT NULL, 
	sum_us TEXT NOT NULL, 
	PRIMARY KEY (site, model, version, timing)
);
INSERT INTO "latency_totals" VALUES('north','demo','1.0.0','instructions','[0,0,0,0,0,0,7,0,0,0,0,0,0,0,0]','93800');
CREATE TABLE meta (
	"key" VARCHAR NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('schema','2');
INSERT INTO "meta" VALUES('manager','75fa4b46d10ebdf19a4a672ff7705f32');
INSERT INTO "meta" VALUES('seq','0');
CREATE TABLE quarantine (
	id INTEGER NOT NULL, 
	topic VARCHAR NOT NULL, 
	payload BLOB NOT NULL, 
	reason TEXT NOT NULL, 
	at_s FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE releases (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	version VARCHAR NOT NULL, 
	created_s FLOAT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name, version)
);
CREATE TABLE retained (
	kind VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	seq INTEGER NOT NULL, 
	live BOOLEAN NOT NULL, 
	done BOOLEAN NOT NULL, 
	payload BLOB NOT NULL, 
	names VARCHAR NOT NULL, 
	also VARCHAR NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	PRIMARY KEY (kind, "key"), 
	UNIQUE (seq)
);
CREATE TABLE rollouts (
	id INTEGER NOT NULL, 
	release INTEGER NOT NULL, 
	state VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	waves TEXT NOT NULL, 
	why TEXT NOT NULL, 
	started_s FLOAT NOT NULL, 
	ended_s FLOAT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(release) REFERENCES releases (id)
);
CREATE TABLE snapshots (
	device VARCHAR NOT NULL, 
	boot INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	model BLOB NOT NULL, 
	inferences INTEGER NOT NULL, 
	classes TEXT NOT NULL, 
	latency TEXT NOT NULL, 
	latency_sum_us TEXT NOT NULL, 
	dropped INTEGER NOT NULL, 
	tele BLOB NOT NULL, 
	first_uptime_ms TEXT NOT NULL, 
	first_s FLOAT NOT NULL, 
	at_s FLOAT NOT NULL, 
	PRIMARY KEY (device, boot, epoch)
);
INSERT INTO "snapshots" VALUES('node-1',3,1,4,X'000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F',7,'[7,0]','[0,0,0,0,0,0,7,0,0,0,0,0,0,0,0]','93800',1,X'AB00030101020403191388045820000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F050706820700078F000000000000070000000000000000081A00016E68098A000000000000000000070A01','5000',1700000009.0,1700000009.0);
CREATE TABLE transitions (
	id INTEGER NOT NULL, 
	rollout INTEGER NOT NULL, 
	device VARCHAR NOT NULL, 
	transition VARCHAR NOT NULL, 
	"update" VARCHAR, 
	result VARCHAR, 
	detail TEXT NOT NULL, 
	generation INTEGER NOT NULL, 
	at_s FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX transitions_device ON transitions (device, id);
CREATE INDEX ix_retained_also ON retained (also);
CREATE INDEX ix_retained_done ON retained (done);
CREATE INDEX ix_retained_names ON retained (names);
CREATE INDEX events_recent ON events (device, at_s);
CREATE INDEX ix_artifacts_image ON artifacts (image);
CREATE INDEX ix_artifacts_manifest ON artifacts (manifest);
CREATE INDEX ix_rollouts_state ON rollouts (state);
CREATE INDEX deployments_due ON deployments (state, deadline_s);
CREATE INDEX deployments_device ON deployments (device, rollout);
COMMIT;
