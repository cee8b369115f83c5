// What Python writes into a page; composer/page/schema.py says what each thing means.

/** @typedef {[file: number, line: number]} Line */

/**
 * @typedef {object} FactsData
 * @property {any[]} [in]
 * @property {any[]} [out]
 * @property {string} op
 * @property {string} kind
 * @property {number} parameters
 * @property {number|null} macs
 * @property {number} [memory]
 * @property {number} [seconds]
 * @property {Line} [line]
 * @property {Line} [defined]
 * @property {string} [description]
 * @property {number} [rule]
 * @property {string[]} [sites]
 * @property {[child: string, owner: string][]} [shares]
 * @property {number} [options]
 * @property {number} [weights]
 * @property {number} [code]
 * @property {number} [contents]
 * @property {"failed"|"unreached"} [state]
 */

/**
 * @typedef {object} BoxData
 * @property {string} path
 * @property {string} label
 * @property {string} kind
 * @property {string} look
 * @property {string} op
 * @property {[output: string, shape: string][]} [shapes]
 * @property {string} [detail]
 * @property {string[]} [copies]
 * @property {number} [parameters]
 * @property {[rule: number, mechanism: string, count: number][]} [holds]
 * @property {string[]} [pills]
 * @property {number} [rule]
 * @property {boolean} [helper]
 * @property {string} [line]
 * @property {string} [state]
 * @property {string} [row]
 * @property {string[]} [lines]
 * @property {string} [problem]
 * @property {ViewData} [inner]
 * @property {number} [inside]
 */

/**
 * @typedef {object} ViewData
 * @property {string} path
 * @property {[name: string, shape: string][]} inputs
 * @property {string[]} outputs
 * @property {BoxData[]} boxes
 * @property {number[]} layouts
 * @property {string[]} shapes
 */

/**
 * @typedef {object} LayoutData
 * @property {[width: number, height: number]} size
 * @property {[left: number, top: number, width: number, height: number][]} items
 * @property {[source: number, output: number][]} nets
 * @property {[net: number, target: number, input: number, ...points: number[]][]} wires
 * @property {[net: number, x: number, y: number, end: number, room: number][]} labels
 */

/**
 * @typedef {object} InsideData
 * @property {ViewData} view
 * @property {Record<string, FactsData>} facts
 */

/**
 * @typedef {object} RuleData
 * @property {number} number
 * @property {string} use
 * @property {string} where
 * @property {number} places
 * @property {string} [description]
 * @property {string|boolean} [condition]
 * @property {string} [start]
 * @property {number} [file]
 * @property {number} [line]
 * @property {number} [parameters]
 * @property {number|null} [macs]
 */

/**
 * @typedef {object} NetworkData
 * @property {string} key
 * @property {string} label
 * @property {ViewData} root
 * @property {number} parameters
 * @property {number|null} macs
 * @property {string} takes
 * @property {string} gives
 * @property {FactsData} facts
 * @property {RuleData[]} rules
 * @property {[string, string][]} insets
 * @property {string} [description]
 * @property {string[]} [absent]
 * @property {[path: string, stage: number|null, block: number|null][]} [places]
 */

/**
 * @typedef {object} ProblemData
 * @property {string} path
 * @property {string} message
 * @property {string} text
 * @property {number} [file]
 * @property {number} [line]
 */

/**
 * @typedef {object} FileData
 * @property {string} name
 * @property {string} text
 * @property {Record<string, number>} spans
 */

/**
 * @typedef {object} OperationData
 * @property {string} [summary]
 * @property {boolean} [mechanism]
 * @property {string} [kind]
 * @property {any[]} [math]
 * @property {string} [source]
 * @property {string} [departs]
 * @property {string} [link]
 * @property {string} [plugin]
 */

/**
 * @typedef {object} TablesData
 * @property {any[]} tensors
 * @property {any[]} options
 * @property {any[]} weights
 * @property {any[]} contents
 * @property {any[]} codes
 * @property {Record<string, OperationData>} operations
 */

/**
 * @typedef {object} ModeData
 * @property {string} key
 * @property {string} name
 * @property {string} words
 * @property {string} written
 * @property {string} unit
 * @property {boolean} adds
 * @property {number} least
 * @property {number} most
 * @property {boolean} log
 * @property {string} [fact]
 * @property {Record<string, number|null>} [numbers]
 * @property {Record<string, [fill: string, ink: string]>} [tones]
 */

/**
 * @typedef {object} RampData
 * @property {[light: string, dark: string]} fills
 * @property {[light: number, dark: number]} turns
 */

/**
 * @typedef {object} HistogramData
 * @property {string} bars
 * @property {number} least
 * @property {number} most
 * @property {number} mean
 * @property {number} std
 * @property {number} lost
 */

/**
 * @typedef {object} ChangeData
 * @property {string} kind
 * @property {string} nodes
 * @property {string} operation
 * @property {string} what
 * @property {number} parameters
 * @property {number|null} macs
 * @property {string[]} before
 * @property {string[]} after
 */

/**
 * @typedef {object} PageData
 * @property {string} name
 * @property {"TB"|"LR"} direction
 * @property {NetworkData[]} networks
 * @property {string[]} open
 * @property {ModeData[]} modes
 * @property {string} colour
 * @property {RampData} ramp
 * @property {RuleData[]} rules
 * @property {Record<string, Record<string, FactsData>>} facts
 * @property {InsideData[]} insides
 * @property {TablesData} tables
 * @property {ProblemData[]} problems
 * @property {FileData[]} files
 * @property {LayoutData[]} layouts
 * @property {Record<string, number>[]} characters
 * @property {Record<string, HistogramData>} [histograms]
 * @property {ChangeData[]} [changes]
 * @property {any[]} [totals]
 * @property {[before: string, after: string][]} [pairs]
 */

export {};
