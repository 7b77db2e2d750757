// SPDX-License-Identifier: GPL-2.0
// The page works on numbers of cases; every text goes through textContent.
"use strict";
(() => {
	const data = JSON.parse(document.getElementById("data").textContent);
	const ORDER = "fmkpsn";
	const WORDS = { p: "pass", k: "known bug", f: "fail", m: "no result", s: "skipped",
			n: "not run" };
	const SIGNS = { k: "▲", f: "✕", m: "?", s: "–" };
	const $ = (id) => document.getElementById(id);
	const all = (what, from) => [...(from || document).querySelectorAll(what)];
	const cells = all("button.c");
	const panel = $("panel");
	const tip = $("tip");
	let run = data.runs[0];
	let filter = "";
	let opener = null;

	const make = (tag, words, name) => {
		const node = document.createElement(tag);
		if (words !== undefined)
			node.textContent = words;
		if (name)
			node.className = name;
		return node;
	};

	// "3-5 9" as 3, 4, 5, 9
	const numbers = (text) => text.split(" ").flatMap((word) => {
		const [first, last] = word.split("-").map(Number);
		return Array.from({ length: (last === undefined ? first : last) - first + 1 },
				  (_, i) => first + i);
	});
	// A long word that may be broken; no character is added, so that it can be copied.
	const soft = (tag, text) => {
		const node = make(tag);
		text.split(/(?<=[|_.[:])/).forEach((part, at) => {
			if (at)
				node.append(make("wbr"));
			node.append(part);
		});
		return node;
	};

	for (const cell of cells)
		cell.cases = numbers(cell.dataset.c);

	const worst = (cases) => {
		let at = ORDER.length - 1;
		for (const i of cases)
			at = Math.min(at, ORDER.indexOf(run.letters[i]));
		return ORDER[at];
	};

	const bar = (node, cases) => {
		const count = {};
		for (const i of cases)
			count[run.letters[i]] = (count[run.letters[i]] || 0) + 1;
		node.replaceChildren(...[..."pkfmsn"].filter((letter) => count[letter]).map((letter) => {
			const part = make("i", "", letter);
			part.style.flexGrow = count[letter];
			return part;
		}));
	};

	const summary = (cases) => [...ORDER].map((letter) =>
		[cases.filter((i) => run.letters[i] === letter).length, WORDS[letter]])
		.filter(([count]) => count).map(([count, word]) => `${count} ${word}`).join(", ");

	const suites = all(".suite").map((node) => ({
		node, bar: node.querySelector("h3 .bar"),
		index: document.querySelector(`.index a[href="#${node.id}"]`),
		cells: cells.filter((cell) => node.contains(cell)),
	}));

	function paint() {
		for (const cell of cells) {
			const letter = worst(cell.cases);
			const many = cell.cases.length > 1 ? String(cell.cases.filter((i) =>
				run.letters[i] === letter).length) : "";
			cell.letter = letter;
			cell.classList.remove(...ORDER);
			cell.classList.add(letter);
			cell.textContent = letter === "p" ? many : SIGNS[letter] || "";
			cell.setAttribute("aria-label", `${cell.dataset.l}: ${many
				? summary(cell.cases) : WORDS[letter]}`);
		}
		for (const suite of suites) {
			const cases = suite.cells.flatMap((cell) => cell.cases);
			bar(suite.bar, cases);
			bar(suite.index.querySelector(".bar"), cases);
			suite.index.title = summary(cases);
		}
		for (const node of all("[data-count]"))
			node.textContent = [...run.letters].filter((l) => l === node.dataset.count).length;
		for (const node of all("[data-run]"))
			node.setAttribute("aria-current", data.runs[node.dataset.run] === run);
		sift();
	}

	// Filter: a kind of result from the tiles, words from the field.
	function sift() {
		const words = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
		const plain = !words.length && !filter;
		let found = 0;
		for (const suite of suites) {
			let inside = 0;
			for (const cell of suite.cells) {
				const fits = (!filter || cell.cases.some((i) => run.letters[i] === filter)) &&
					(!words.length || cell.cases.some((i) =>
						words.every((word) => data.names[i].toLowerCase().includes(word))));
				cell.fits = fits;
				cell.classList.toggle("dim", !fits);
				inside += fits;
			}
			for (const table of all(".m", suite.node)) {
				const rows = all(".order tbody tr, .plain tbody tr, .phase tbody tr", suite.node)
					.filter((row) => table.contains(row));
				for (const row of rows)
					row.hidden = !plain && !all("button.c", row).some((cell) => cell.fits);
				table.hidden = !plain && !all("button.c", table).some((cell) => cell.fits);
			}
			suite.node.hidden = suite.index.hidden = !plain && !inside;
			found += inside;
		}
		$("none").hidden = found > 0;
		rove();
	}

	// One stop for the tab key in each table; the arrow keys move inside.
	function rove() {
		for (const table of all(".m")) {
			const inside = all("button.c", table);
			const now = inside.find((cell) => cell.tabIndex === 0 && cell.fits);
			for (const cell of inside)
				cell.tabIndex = -1;
			const first = now || inside.find((cell) => cell.fits);
			if (first)
				first.tabIndex = 0;
		}
	}

	const middle = (cell) => {
		const box = cell.getBoundingClientRect();
		return [box.left + box.width / 2, box.top + box.height / 2];
	};

	function neighbour(cell, key) {
		const table = cell.closest(".m");
		const inside = all("button.c", table).filter((other) => other.fits);
		if (key === "Home" || key === "End")
			return key === "Home" ? inside[0] : inside[inside.length - 1];
		const [x, y] = middle(cell);
		const across = key === "ArrowLeft" || key === "ArrowRight";
		const sign = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
		let best = null;
		let least = Infinity;
		for (const other of inside) {
			const [ox, oy] = middle(other);
			const along = sign * (across ? ox - x : oy - y);
			const aside = Math.abs(across ? oy - y : ox - x);
			// The next row that has a cell, and there the nearest one.
			if (along > 4 && (!across || aside < 8) && 1000 * along + aside < least) {
				best = other;
				least = 1000 * along + aside;
			}
		}
		return best;
	}

	document.addEventListener("keydown", (event) => {
		const cell = event.target.closest("button.c");
		if (!cell || !["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]
			.includes(event.key))
			return;
		event.preventDefault();
		const next = neighbour(cell, event.key);
		if (next) {
			cell.tabIndex = -1;
			next.tabIndex = 0;
			next.focus();
		}
	});

	function show_tip(cell) {
		tip.textContent = cell.getAttribute("aria-label");
		tip.hidden = false;
		const box = cell.getBoundingClientRect();
		const own = tip.getBoundingClientRect();
		const left = Math.max(8, Math.min(box.left, innerWidth - own.width - 8));
		tip.style.left = `${left}px`;
		tip.style.top = `${box.top > own.height + 14 ? box.top - own.height - 6
			: box.bottom + 6}px`;
	}
	for (const kind of ["mouseover", "focusin"])
		document.addEventListener(kind, (event) => {
			const cell = event.target.closest && event.target.closest("button.c");
			if (cell)
				show_tip(cell);
			else
				tip.hidden = true;
		});
	// Moving the focus may scroll.
	document.addEventListener("scroll", () => {
		const cell = document.activeElement.closest("button.c:focus-visible");
		if (cell)
			show_tip(cell);
		else
			tip.hidden = true;
	}, { passive: true });

	// The panel: the cases of a cell, each with its ledger.
	const row_of = (number) => data.rows[number].map((word) => data.strings[word]);

	function as_text(name, table) {
		const [step, ...rows] = table;
		const lines = [`${name}: ${data.strings[step]}`, ["field", "before", "expected", "after"],
			...rows.map((number) => {
				const [field, before, expected, after, wrong] = row_of(number);
				return [field, before, expected, after, wrong ? " <-- wrong" : ""];
			})];
		return lines.map((line) => typeof line === "string" ? line
			: line[0].padEnd(19) + line.slice(1, 4).map((word) => ` ${word.padStart(20)}`).join("") +
			(line[4] || "")).join("\n");
	}

	function copier(label, text) {
		const button = make("button", label, "copy");
		button.type = "button";
		button.addEventListener("click", () => {
			const area = make("textarea", text);
			panel.append(area);
			area.select();
			const done = document.execCommand("copy");
			area.remove();
			button.textContent = done ? "copied" : "cannot copy here";
			button.focus();
		});
		return button;
	}

	function ledger(number) {
		const [step, ...rows] = data.tables[number];
		const part = document.createDocumentFragment();
		part.append(make("h4", data.strings[step]));
		const table = make("table", undefined, "ledger");
		const head = table.createTHead().insertRow();
		for (const word of ["field", "before", "expected", "after"])
			head.append(make("th", word));
		const body = table.createTBody();
		for (const row of rows) {
			const [field, before, expected, after, wrong] = row_of(row);
			const line = body.insertRow();
			const key = ["order", "refcount", "mapcount"].includes(field);
			line.className = wrong ? "wrong" : before !== after && after !== "n/a" ? "changed"
				: key ? "same-key" : "unchanged";
			line.append(make("th", field), soft("td", before), soft("td", expected),
				soft("td", wrong ? `${after} ✕` : after));
		}
		part.append(table);
		return part;
	}

	function fill(details, i) {
		const name = data.names[i];
		for (const note of run.notes[i] || [])
			details.append(make("p", note, "note"));
		const tables = run.ledger[i] || [];
		for (const table of tables)
			details.append(ledger(table));
		if (run.logs[i] && !tables.length)
			details.append(make("pre", run.logs[i].join("\n")));
		else if (run.logs[i]) {
			const more = make("details");
			more.append(make("summary", "what the log says"), make("pre", run.logs[i].join("\n")));
			details.append(more);
		}
		if (!tables.length && "pk".includes(run.letters[i]))
			details.append(make("p", "This run printed no ledger of this case.", "hint"));
		const glob = name.split("[")[0].replace(".(suite)", "");
		const quote = (word) => /^[\w.=/:+-]+$/.test(word) ? word
			: `'${word.replaceAll("'", "'\\''")}'`;
		const words = [...run.command.slice(0, 2), glob, ...run.command.slice(2)];
		const command = words.map(quote).join(" ");
		details.append(make("pre", `$ ${command}`), copier("copy the command", command));
		if (tables.length)
			details.append(copier("copy the ledger for mail",
				tables.map((table) => as_text(name, data.tables[table])).join("\n\n") + "\n"));
	}

	function one(i, open) {
		const details = make("details");
		const line = make("summary");
		const sign = make("i", SIGNS[run.letters[i]] || "", `c ${run.letters[i]}`);
		sign.setAttribute("aria-hidden", "true");
		const name = data.names[i];
		const at = name.indexOf("[");
		line.append(sign, soft("b", at < 0 ? name.slice(name.indexOf(".") + 1)
			: name.slice(at + 1, -1)), ` ${WORDS[run.letters[i]]}`);
		if (i in run.ms)
			line.append(make("span", `  ${run.ms[i]} ms`));
		details.append(line);
		details.addEventListener("toggle", () => {
			if (details.open && details.children.length === 1)
				fill(details, i);
		});
		details.open = open;
		return details;
	}

	function open(cases, title, from) {
		opener = from;
		tip.hidden = true;
		$("panel-title").replaceChildren(...soft("span", title).childNodes);
		$("panel-what").textContent = `${run.title}: ${summary(cases)}`;
		const order = [...cases].sort((a, b) => ORDER.indexOf(run.letters[a]) -
			ORDER.indexOf(run.letters[b]) || a - b);
		$("panel-cases").replaceChildren(...order.map((i, at) => one(i, at === 0)));
		$("same").closest("label").hidden = !cases.some((i) => (run.ledger[i] || []).length);
		panel.showModal();
		panel.scrollTop = 0;
		if (cases.length === 1)
			history.replaceState(null, "", `#case=${encodeURIComponent(data.names[cases[0]])}`);
	}

	const base = (i) => data.names[i].split("[")[0];
	document.addEventListener("click", (event) => {
		const node = event.target.closest("button");
		if (!node)
			return;
		if (node.cases)
			open(node.cases, node.cases.length === 1 ? data.names[node.cases[0]]
				: `${base(node.cases[0])}: ${node.dataset.l}`, node);
		else if (node.dataset.open) {
			const cases = numbers(node.dataset.open);
			open(cases, cases.length === 1 ? data.names[cases[0]] : base(cases[0]), node);
		}
		else if (node.dataset.run)
			choose(Number(node.dataset.run));
		else if (node.dataset.f) {
			filter = filter === node.dataset.f ? "" : node.dataset.f;
			for (const tile of all("[data-f]"))
				tile.setAttribute("aria-pressed", tile.dataset.f === filter);
			sift();
		}
	});
	$("close").addEventListener("click", () => panel.close());
	$("same").addEventListener("change", () => panel.classList.toggle("all", $("same").checked));
	panel.addEventListener("click", (event) => {
		if (event.target === panel && event.clientX < panel.getBoundingClientRect().left)
			panel.close();
	});
	panel.addEventListener("close", () => {
		history.replaceState(null, "", location.pathname + location.search);
		if (opener && opener.isConnected)
			opener.focus({ preventScroll: true });
	});

	function choose(number) {
		run = data.runs[number];
		$("run").value = number;
		const verdict = $("verdict");
		verdict.textContent = run.verdict;
		verdict.className = `verdict v-${run.verdict === "pass" ? "p" : "f"}`;
		paint();
	}
	$("run").addEventListener("change", () => choose(Number($("run").value)));
	$("find").addEventListener("input", sift);

	function follow() {
		const hash = location.hash;
		if (!hash.startsWith("#case="))
			return;
		let name = "";
		try {
			name = decodeURIComponent(hash.slice(6));
		} catch {
			return;
		}
		const i = data.names.indexOf(name);
		if (i >= 0 && !panel.open)
			open([i], name, cells.find((cell) => cell.cases.includes(i)));
	}
	addEventListener("hashchange", follow);

	paint();
	follow();
})();
