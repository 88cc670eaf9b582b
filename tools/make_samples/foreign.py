"""Sentences in languages the sample is not about, written for it: what a wrong-language fault puts in.

Each is 40 characters or more on the English side, so that a language identifier has something to go by.
"""

FRENCH = (
    "Les enfants du village jouent souvent près de la rivière.",
    "Nous avons pris le petit déjeuner avant de partir en voyage.",
    "Ma grand-mère prépare une soupe délicieuse tous les dimanches.",
    "Le musée est fermé le lundi, mais il ouvre tôt les autres jours.",
    "Il faisait très froid hier soir dans les rues de la vieille ville.",
    "Je voudrais acheter un billet de train pour demain matin.",
    "Cette chanson me rappelle les vacances de notre enfance.",
    "Mon frère travaille depuis cinq ans dans une petite boulangerie.",
)
SPANISH = (
    "Los niños juegan en el parque todas las tardes después de clase.",
    "Mi hermana quiere estudiar medicina en una universidad pequeña.",
    "El tren llegó tarde porque había mucha nieve en las montañas.",
    "Nosotros siempre comemos juntos los domingos en casa de mi abuela.",
    "La profesora nos explicó la lección con mucha paciencia ayer.",
    "Ayer compré unas manzanas muy baratas en el mercado del barrio.",
    "Cuando era joven, me gustaba caminar por la playa por la noche.",
    "No encuentro las llaves del coche en ninguna parte de la casa.",
)
GERMAN = (
    "Die Kinder spielen jeden Nachmittag im Garten hinter dem Haus.",
    "Gestern haben wir im neuen Restaurant sehr gut gegessen.",
    "Mein Bruder arbeitet seit drei Jahren in einer kleinen Fabrik.",
    "Der Zug nach Norden fährt heute leider erst um neun Uhr ab.",
    "Ich habe das Buch noch nicht gelesen, aber es sieht schön aus.",
    "Im Winter ist es hier oft sehr kalt und die Tage sind kurz.",
    "Könnten Sie mir bitte sagen, wo die nächste Apotheke ist?",
    "Wir möchten nächsten Sommer mit dem Fahrrad ans Meer fahren.",
)
MARATHI_NEPALI = (
    "आम्ही उद्या सकाळी लवकर बाजारात जाणार आहोत.",
    "मला हे पुस्तक खूप आवडते कारण ते सोपे आहे.",
    "मुले शाळेच्या मैदानावर खेळत होती आणि खूप हसत होती.",
    "तुम्ही काल संध्याकाळी कुठे गेला होता?",
    "आज पाऊस पडत आहे म्हणून आम्ही घरीच थांबलो आहोत.",
    "हामी भोलि बिहान छिट्टै बजार जानेछौं।",
    "मलाई यो किताब धेरै मन पर्छ किनभने यो सजिलो छ।",
    "केटाकेटीहरू विद्यालयको चौरमा खेलिरहेका थिए।",
    "तपाईं हिजो बेलुका कहाँ जानुभएको थियो?",
    "आज पानी परेको छ, त्यसैले हामी घरमै बसेका छौं।",
)
URDU_PERSIAN = (
    "ہم کل صبح سویرے بازار جائیں گے اور سبزی خریدیں گے۔",
    "مجھے یہ کتاب بہت پسند ہے کیونکہ یہ آسان ہے۔",
    "بچے اسکول کے میدان میں کھیل رہے تھے۔",
    "آپ کل شام کہاں گئے تھے؟",
    "آج بارش ہو رہی ہے اس لیے ہم گھر پر ہیں۔",
    "ما فردا صبح زود به بازار می‌رویم و سبزی می‌خریم.",
    "من این کتاب را خیلی دوست دارم چون ساده است.",
    "بچه‌ها در حیاط مدرسه بازی می‌کردند و می‌خندیدند.",
    "شما دیروز عصر کجا رفته بودید؟",
    "امروز باران می‌بارد، برای همین در خانه مانده‌ایم.",
)
CHINESE = (
    "我们明天早上要去市场买一些新鲜的蔬菜。",
    "我很喜欢这本书,因为它写得很简单。",
    "孩子们放学以后在操场上踢足球。",
    "你昨天晚上到哪里去了?大家都在等你。",
    "今天下雨了,所以我们都待在家里看电视。",
    "这家饭馆的面条又便宜又好吃,我每天都来。",
)
ENGLISH_SIDE = FRENCH + SPANISH + GERMAN
TARGET_SIDE = {"hi": MARATHI_NEPALI, "ar": URDU_PERSIAN, "ja": CHINESE}
