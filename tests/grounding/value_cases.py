"""What was meant, what was understood, and the verdict: `same`, or the kind of the difference.

Each line is `title | meant | understood | verdict`. What is meant is a value of the type; what is understood is a free text, or
a value of the type where `=` stands before it.
"""

CASES = {
    "int": """
        equal | 500 | =500 | same
        one off | 500 | =501 | value
        in words | 500 | five hundred | same
        in words with a hyphen | 21 | twenty-one | same
        a wrong word | 500 | four hundred | value
        swapped digits | 15 | fifty | value
        with an exponent | 500 | 5e2 | same
        in thousands | 500 | 0.5k | same
        scaled by a word | 2000000 | 2 million | same
        a dozen | 12 | a dozen | same
        two dozen | 24 | two dozen | same
        a hundred | 100 | a hundred | same
        negative in words | -5 | minus five | same
        a lost sign | -5 | five | value
        a minus sign of typography | -5 | \u22125 | same
        grouped by commas or decimal | 1000 | 1,000 | ambiguous
        grouped by points or decimal | 1000 | 1.000 | ambiguous
        grouped twice | 1000000 | 1,000,000 | same
        grouped by spaces | 1000 | 1 000 | same
        grouped by apostrophes | 1000 | 1'000 | same
        grouped wrongly | 100000 | 1,00,000 | unreadable
        neither reading is meant | 7 | 1,000 | value
        two numbers in one | 12 | one two | unreadable
        a year said in two | 2020 | twenty twenty | unreadable
        no number | 5 | many | unreadable
        nothing | 5 | | unreadable
        a very large number | 100000000000000000000 | =100000000000000000001 | value
    """,
    "number": """
        equal but for rounding | 0.3 | =0.30000000000000004 | same
        another | 0.3 | =0.31 | value
        a decimal comma | 1.5 | 1,5 | same
        a decimal point | 1.5 | 1.5 | same
        one and a half | 1.5 | one and a half | same
        a half | 0.5 | half | same
        half as a sign | 0.5 | ½ | same
        two point five | 2.5 | two point five | same
        both separators, point last | 1000.5 | 1,000.50 | same
        both separators, comma last | 1000.5 | 1.000,50 | same
        three places or thousands | 3.125 | 3.125 | ambiguous
        three places behind nothing | 0.125 | 0.125 | same
        a percentage or its share | 0.05 | 5 % | ambiguous
        neither of them | 0.5 | 5 % | value
        an invented exponent | 5 | 5e3 | value
    """,
    "bool": """
        yes | true | yes | same
        no | false | No | same
        turned | true | no | value
        a word for neither | true | maybe | unreadable
        turned as a value | true | =false | value
    """,
    "quantity": """
        equal | 500 l | =500 l | same
        equal with another number of places | 500 l | =500.0 l | same
        another amount | 500 l | =50 l | value
        the unit's long name | 500 l | =500 litres | same
        converted | 500 l | =0.5 m3 | same
        converted with a power sign | 500 l | =0.5 m^3 | same
        converted with a superscript | 500 l | =0.5 m³ | same
        in words | 500 l | five hundred litres | same
        half a unit | 500 l | half a cubic metre | same
        another unit of the same kind | 500 l | =500 m3 | unit
        another kind of unit | 500 l | =500 kg | unit
        converted wrongly | 500 l | =5 m3 | value
        no unit | 500 l | 500 | unit
        no unit in words | 500 l | five hundred | unit
        milli and mega | 5 mg | =5 Mg | unit
        micro and milli | 5 mg | =5 µg | unit
        micro in two characters | 5 µg | =5 μg | same
        micro spelled | 5 µg | =5 mcg | same
        gallons of two countries | 1 gallon | =3.785411784 l | ambiguous
        the same gallons | 5 gallons | =5 gallons | same
        a gallon that is said | 1 imperial gallon | =4.54609 l | same
        tons of three kinds | 1 ton | =1000 kg | ambiguous
        tonnes | 1 tonne | =1000 kg | same
        ounces of weight or volume | 1 oz | =28.349523125 g | ambiguous
        temperature | 100 °C | =212 degF | same
        temperature off by the scale | 100 °C | =100 degF | unit
        kelvin | 0 °C | =273.15 K | same
        degrees in words | -3 °C | minus three degrees Celsius | same
        speed | 36 km/h | =10 m/s | same
        speed in words | 36 km/h | ten metres per second | same
        bytes and bits | 1 GB | =1 Gb | unit
        decimal and binary prefixes | 1 GB | =1 GiB | unit
        bytes in bits | 1 kB | =8000 bit | same
        a share | 5 % | =5 percent | same
        a share and an angle | 5 % | =0.05 rad | unit
        counted things | 5 boxes | =5 boxes | same
        other counted things | 5 boxes | =5 pallets | unit
        counted things in words | 5 boxes | five boxes | same
        grouped or decimal | 1000 l | 1.000 l | ambiguous
        a flow | 1 l/min | =60 l/h | same
        area in words | 2 m2 | two square metres | same
        not a quantity | 500 l | plenty | unreadable
        seconds and minutes | 90 s | =1.5 min | same
        units that are no unit | 5 units | =5 items | unit
    """,
    "money": """
        equal | 110 EUR | =110 EUR | same
        equal with cents | 110 EUR | =110.00 EUR | same
        a cent more | 110 EUR | =110.01 EUR | value
        another currency | 110 EUR | =110 USD | currency
        the code in front | 110 EUR | EUR 110 | same
        the sign in front | 110 EUR | €110 | same
        the sign behind | 110 EUR | 110 € | same
        in words | 110 EUR | one hundred and ten euros | same
        points and comma | 1000.50 EUR | 1.000,50 EUR | same
        comma and point | 1000.50 EUR | 1,000.50 EUR | same
        grouped or decimal | 1000 EUR | 1.000 EUR | ambiguous
        dollars of several countries | 5 USD | $5 | ambiguous
        dollars in words | 5 USD | five dollars | ambiguous
        dollars that are said | 5 USD | US$5 | same
        dollars that are said in words | 5 USD | five US dollars | same
        other dollars | 5 USD | A$5 | currency
        too few dollars whichever | 5 USD | $4 | value
        pounds of several countries | 5 GBP | £5 | ambiguous
        pounds sterling | 5 GBP | five pounds sterling | same
        yen or yuan | 500 JPY | ¥500 | ambiguous
        crowns of several countries | 500 SEK | 500 kr | ambiguous
        no currency | 110 EUR | 110 | currency
        no amount | 110 EUR | euros | unreadable
        negative | -5 EUR | minus five euros | same
        lower case code | 5 EUR | 5 eur | same
        in thousands | 5000 EUR | 5k EUR | same
    """,
    "date": """
        equal | 2026-12-01 | =2026-12-01 | same
        another day | 2026-12-01 | =2026-12-02 | value
        day and month swapped | 2026-12-01 | =2026-01-12 | value
        ISO | 2026-12-01 | 2026-12-01 | same
        ISO without hyphens | 2026-12-01 | 20261201 | same
        month by name | 2026-12-01 | 1 December 2026 | same
        month by short name | 2026-12-01 | 1 Dec 2026 | same
        month first | 2026-12-01 | Dec 1, 2026 | same
        ordinal | 2026-12-01 | the 1st of December 2026 | same
        with its weekday | 2026-12-01 | Tuesday, 1 December 2026 | same
        with another weekday | 2026-12-01 | Monday, 1 December 2026 | unreadable
        figures in either order | 2026-02-01 | 01/02/2026 | ambiguous
        figures in either order, neither meant | 2026-05-05 | 01/02/2026 | value
        figures that a weekday decides | 2026-02-01 | Sunday 01/02/2026 | same
        figures that fit one order | 2026-02-13 | 13/02/2026 | same
        points are day first | 2026-02-01 | 01.02.2026 | same
        a year of two figures | 2026-02-01 | 1/2/26 | ambiguous
        year first with slashes | 2026-12-01 | 2026/12/01 | same
        what depends on today | 2026-12-01 | tomorrow | unreadable
        without its year | 2026-12-01 | 1 December | unreadable
        no such day | 2026-03-02 | 2026-02-30 | unreadable
        with a time | 2026-12-01 | 2026-12-01 16:00 | added
    """,
    "datetime": """
        equal | 2026-12-01T15:00Z | =2026-12-01T15:00Z | same
        in another zone | 2026-12-01T15:00Z | =2026-12-01T16:00+01:00 | same
        the same clock in another zone | 2026-12-01T15:00Z | =2026-12-01T15:00+01:00 | zone
        without a zone | 2026-12-01T15:00Z | =2026-12-01T15:00 | zone
        an hour later | 2026-12-01T15:00Z | =2026-12-01T16:00Z | value
        in words | 2026-12-01T15:00Z | 1 December 2026 at 4 pm CET | same
        time first | 2026-12-01T15:00Z | 4 pm CET on 1 December 2026 | same
        noon | 2026-12-01T12:00Z | noon UTC on 2026-12-01 | same
        an offset by name | 2026-12-01T15:00Z | 2026-12-01 4pm UTC+1 | same
        a place | 2026-12-01T15:00Z | 2026-12-01 16:00 Europe/Berlin | same
        a place in summer | 2026-07-01T14:00Z | 2026-07-01 16:00 Europe/Berlin | same
        winter time said in summer | 2026-07-01T15:00Z | 2026-07-01 16:00 CET | ambiguous
        summer time | 2026-07-01T14:00Z | 2026-07-01 16:00 CEST | same
        an abbreviation of two places | 2026-12-01T21:00Z | 2026-12-01 16:00 EST | ambiguous
        an abbreviation of three places | 2026-12-01T14:00Z | 2026-12-01 16:00 IST | ambiguous
        morning or afternoon | 2026-12-01T04:30 | 2026-12-01 4:30 | ambiguous
        the other half of the day | 2026-12-01T16:30 | 2026-12-01 4:30 am | value
        figures in either order | 2026-02-01T15:00Z | 01/02/2026 15:00Z | ambiguous
        only the time | 2026-12-01T15:00Z | 4 pm CET | missing
        only the day | 2026-12-01T15:00Z | 1 December 2026 | missing
        the zone left out | 2026-12-01T15:00Z | 1 December 2026, 15:00 | zone
        an unknown zone | 2026-12-01T15:00Z | 2026-12-01 15:00 XYZ | unreadable
        soon | 2026-12-01T15:00Z | in an hour | unreadable
    """,
    "duration": """
        equal | 90m | =1h30m | same
        another | 90m | =90s | value
        minutes | 90m | 90 min | same
        hours | 90m | 1.5 hours | same
        a decimal comma | 90m | 1,5 h | same
        in words | 90m | one and a half hours | same
        in other words | 90m | an hour and a half | same
        in parts | 90m | 1 hour and 30 minutes | same
        half an hour | 30m | half an hour | same
        ISO 8601 | 90m | PT1H30M | same
        hours or minutes | 90m | 1:30 | ambiguous
        with seconds | 90m | 01:30:00 | same
        weeks | 14d | two weeks | same
        no unit | 90m | 90 | unreadable
        months have no fixed length | 30d | one month | unreadable
        off by the unit | 90m | 90 hours | value
    """,
    "id": """
        equal | db-1 | =db-1 | same
        another | db-1 | =db-2 | value
        another case | db-1 | =DB-1 | value
        a space too much | db-1 | =db-1\u00a0 | value
        a look-alike | db-l | =db-1 | value
    """,
    "choice": """
        equal | low | =low | same
        another | low | =high | value
        another case | low | LOW | same
        none of them | low | tiny | unreadable
    """,
    "text": """
        equal | City bike | =City bike | same
        case and spacing | City bike | =city  BIKE | same
        another | City bike | =City bikes | value
        a full stop | Restart the host | =Restart the host. | same
        a contraction | Do not restart | =Don't restart | same
        a lost not | Do not restart db-1 | =Do restart db-1 | negation
        an added not | Restart db-1 | =Do not restart db-1 | negation
        never | Never restart db-1 at night | =Restart db-1 at night | negation
        without | Restart without a backup | =Restart with a backup | negation
        an opposite | Enable logging on db-1 | =Disable logging on db-1 | negation
        before and after | Stop it before the backup | =Stop it after the backup | negation
        two negations | It is not without risk | =It is of some risk | value
        a number in words | 500 | =five hundred | same
        a quantity in words | 500 l | =half a cubic metre | same
        a time in two zones | 4 pm CET | =15:00Z | same
        a time across midnight | 00:30 CET | =23:30Z | same
        the same clock in two zones | 4 pm CET | =4 pm UTC | zone
        metres or minutes | 5 m | =300 s | ambiguous
        a day in either order | 01/02/2026 | =1 February 2026 | ambiguous
        a superscript | 10² mg | =102 mg | value
        a space within figures | 100 | =1 00 | value
        composed and decomposed | caf\u00e9 | =cafe\u0301 | same
        an accent | caf\u00e9 | =cafe | value
    """,
    "list": """
        equal | ["a", "b"] | =["a", "b"] | same
        items in another case | ["a", "b"] | =["A", "b"] | same
        another order | ["a", "b"] | =["b", "a"] | order
        one too few | ["a", "b"] | =["a"] | missing
        one too many | ["a"] | =["a", "b"] | added
        one replaced | ["a", "b"] | =["a", "c"] | value
        one turned round | ["do not stop", "b"] | =["do stop", "b"] | negation
        empty | [] | =[] | same
        a text for a list | ["a", "b"] | a, b | type
        twice the same | ["a", "a", "b"] | =["a", "b", "b"] | value
    """,
    "bag": """
        another order | ["a", "b"] | =["b", "a"] | same
        another order and case | ["a", "B"] | =["b", "A"] | same
        one too few | ["a", "b"] | =["b"] | missing
        one too many | ["a"] | =["b", "a"] | added
        counted | ["a", "a", "b"] | =["b", "b", "a"] | value
    """,
    "name": """
        a synonym | city bike | =town bike | same
        two synonyms | town bike | =urban bicycle | same
        a synonym in another case | city bike | =Town Bike | same
        another name | city bike | =mountain bike | value
        a synonym of another name | city bike | =MTB | value
        a name that is not listed | city bike | =cargo bike | value
    """,
    "map": """
        equal | {"a": 1} | ={"a": 1} | same
        another value | {"a": 1} | ={"a": 2} | value
        a field too few | {"a": 1, "b": 2} | ={"a": 1} | missing
        a field too many | {"a": 1} | ={"a": 1, "b": 2} | added
        a field in words | {"a": 500} | ={"a": "five hundred"} | same
        a field turned round | {"a": "do not stop it"} | ={"a": "do stop it"} | negation
        a list in it | {"a": [1, 2]} | ={"a": [2, 1]} | order
    """,
}
